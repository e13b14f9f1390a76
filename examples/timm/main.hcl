# One file, two adapters: the same data, model and settings trained natively and
# through timm. `runner init examples/timm` makes timm's Python environment.
pipeline "two-adapters" {
  description = "The native engine beside timm"
}

variable "data" {
  type        = string
  description = "The image folder, as runner dataset sample glyphs makes it"
  default     = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 3
}

dataset "images" {
  format = "imagefolder"
  path   = var.data
}

model "native" {
  adapter    = "native"
  name       = "resnet18"
  task       = "image_classification"
  image_size = 32
}

model "timm" {
  adapter    = "timm"
  name       = "resnet18"
  task       = "image_classification"
  image_size = 32
}

locals {
  settings = {
    optimizer = {
      type         = "sgd"
      momentum     = 0.9
      weight_decay = 5e-4
    }
    scheduler           = { type = "cosine" }
    gradient_clip_value = 1
  }
}

train "native" {
  model         = model.native
  dataset       = dataset.images
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = 0.05
  seed          = 7
  config        = local.settings
}

train "timm" {
  model         = model.timm
  dataset       = dataset.images
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = 0.05
  seed          = 7
  config        = local.settings
}

output "accuracy" {
  value = {
    native = train.native.metrics.accuracy
    timm   = train.timm.metrics.accuracy
  }
}
