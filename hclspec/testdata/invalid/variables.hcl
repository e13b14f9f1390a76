# plan
pipeline "p" {}
variable "none" { # ERROR: No value for variable | --var 'none=VALUE'
  type = number
}
variable "bad" {
  type    = number
  default = "x" # ERROR: Invalid value for variable | does not fit var.bad
}
variable "checked" {
  default = -1
  validation {
    condition     = var.checked > 0 # ERROR: Invalid value for variable | must be positive
    error_message = "must be positive"
  }
  validation {
    condition     = local.x > 0 # ERROR: Reference not allowed
    error_message = "x"
  }
}
variable "null" {
  nullable = false
  default  = null # ERROR: Invalid value for variable | may not be null
}
variable "computed" {
  default = var.checked # ERROR: Value must be literal
}
variable "type" {
  type = strng # ERROR: Invalid type specification
  default = "x"
}
variable "flag" {
  default   = "x"
  sensitive = "yes" # ERROR: Invalid value | written as true or false
}
variable "flag" { # ERROR: Duplicate name
}
locals {
  x = 1
}
