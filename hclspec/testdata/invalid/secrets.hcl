pipeline "p" {}
variable "password" {
  type      = string
  default   = "x"
  sensitive = true
}
dataset "d" {
  format = "imagefolder"
  path   = "data/${var.password}" # ERROR: Sensitive value not allowed | env = { NAME
}
model "m" {
  name    = "convnet"
  weights = secret("TOKEN") # ERROR: Sensitive value not allowed
}
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  env = {
    TOKEN = secret("TOKEN")
    PLAIN = "x"
    "1X"  = "y" # ERROR: Invalid name | environment variable
  }
  monitor = var.password # ERROR: Sensitive value not allowed
}
output "o" {
  value = var.password # ERROR: Sensitive value not allowed | sensitive = true
}
output "shown" {
  value     = var.password
  sensitive = true
}
locals {
  hidden = "x${var.password}"
}
evaluate "e" {
  checkpoint = train.t.best
  dataset    = dataset.d
  env        = secret("TOKEN") # ERROR: Invalid value | not (sensitive)
}
output "through_local" {
  value = tonumber(local.hidden) # ERROR: Invalid function argument | not shown because a sensitive value
}
output "number" {
  value = jsondecode(var.password) # ERROR: Error in function call | not shown because a sensitive value
}
