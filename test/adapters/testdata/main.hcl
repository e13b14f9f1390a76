# Trained with one adapter and then with another.
pipeline "adapters" {}

variable "adapter" {
  type = string
}

variable "data" {
  type = string
}

variable "weights" {
  type = string
}

variable "epochs" {
  type = number
}

variable "learning_rate" {
  type = number
}

variable "ema_decay" {
  type    = number
  default = 0
}

variable "seed" {
  type = number
}

dataset "images" {
  format = "imagefolder"
  path   = var.data
}

model "net" {
  adapter    = var.adapter
  name       = "resnet18"
  task       = "image_classification"
  image_size = 32
  weights    = var.weights
}

train "net" {
  model         = model.net
  dataset       = dataset.images
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = var.learning_rate
  seed          = var.seed
  device        = "cpu"
  checkpoint {
    keep_last = 100 # every file can be asked for
  }
  config {
    optimizer {
      type         = "sgd"
      momentum     = 0.9
      weight_decay = 5e-4
    }
    scheduler {
      type = "cosine"
    }
    ema_decay = var.ema_decay
  }
}

evaluate "net" {
  checkpoint = train.net.best
  dataset    = dataset.images
}

export "net" {
  checkpoint = train.net.best
  depends_on = [evaluate.net] # so that runs come in one order
}

output "best" {
  value = train.net.metrics.accuracy
}

output "last" {
  value = train.net.last_metrics.accuracy
}
