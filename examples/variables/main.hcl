# Variables from files, the environment and the command line; locals; functions.
#
#   runner plan --var size=32 examples/variables
#   RUNNER_VAR_epochs=5 runner plan examples/variables
#   runner plan --var-file=examples/variables/quick.vars.hcl examples/variables
pipeline "variables" {
  description = "One pipeline, many settings"
}

variable "data" {
  type    = string
  default = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 8

  validation {
    condition     = var.epochs > 0 && var.epochs <= 300
    error_message = "epochs must lie between 1 and 300"
  }
}

variable "size" {
  type    = number
  default = 32
}

variable "optimizer" {
  type = object({
    type         = string
    weight_decay = number
  })
  default = {
    type         = "adamw"
    weight_decay = 0.02
  }
}

locals {
  batch_size = var.size > 48 ? 32 : 64
  regular = {
    label_smoothing = 0.05
    optimizer       = var.optimizer
  }
}

dataset "images" {
  format = "imagefolder"
  path   = var.data
}

model "net" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = var.size
}

train "net" {
  model      = model.net
  dataset    = dataset.images
  epochs     = var.epochs
  batch_size = local.batch_size
  preset     = "basic"
  config     = merge(local.regular, { drop_last = true })
}

output "summary" {
  value = format("%s at %d px: %.1f %%", upper(model.net.name), var.size, 100 * train.net.metrics.accuracy)
}
