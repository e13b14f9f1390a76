model "m" { # ERROR: Missing pipeline block | pipeline "NAME" {}
  name = "convnet"
}
