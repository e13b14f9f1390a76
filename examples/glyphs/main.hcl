# Reads characters in many fonts, sizes and colours. `make demo` makes the
# images (runner dataset sample glyphs) and applies this in about a minute.
pipeline "glyphs" {
  description = "Which character is it?"
}

variable "data" {
  type        = string
  description = "The image folder, as runner dataset sample glyphs makes it"
  default     = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 7

  validation {
    condition     = var.epochs > 0
    error_message = "epochs must be positive"
  }
}

dataset "glyphs" {
  format = "imagefolder"
  path   = var.data

  checks {
    max_corrupt   = 0
    min_per_class = 20
    leakage       = "error"
  }
}

model "net" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = 32
}

train "reader" {
  model         = model.net
  dataset       = dataset.glyphs
  epochs        = var.epochs
  batch_size    = 32
  learning_rate = 1.5e-3
  seed          = 1

  config {
    optimizer {
      type         = "adamw"
      weight_decay = 0.01
    }
    scheduler {
      type = "cosine"
    }
  }
}

check "accuracy" {
  condition     = train.reader.metrics.accuracy >= 0.97
  error_message = "the reader is right in less than 97 % of the images"
}

output "accuracy" {
  description = "Share of validation images that are read correctly"
  value       = train.reader.metrics.accuracy
}

output "model" {
  description = "The ONNX file to deploy"
  value       = train.reader.artifacts["model.onnx"]
}
