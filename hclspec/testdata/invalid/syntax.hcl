pipeline "p" {}
model "m" {
  name = # ERROR: Invalid expression
}
