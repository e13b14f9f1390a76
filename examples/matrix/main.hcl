# Four trainings from one block, the best of them, and a check on it.
pipeline "matrix" {
  description = "Which optimizer and learning rate suit these images?"
}

variable "data" {
  type    = string
  default = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 4
}

dataset "images" {
  format = "imagefolder"
  path   = var.data
}

model "net" {
  adapter    = "native"
  name       = "convnet"
  task       = "image_classification"
  image_size = 32
}

train "search" {
  model      = model.net
  dataset    = dataset.images
  epochs     = var.epochs
  batch_size = 64
  seed       = 3

  matrix = {
    "config.optimizer.type" = ["adamw", "sgd"]
    "learning_rate"         = [1e-2, 1e-3]
  }
}

locals {
  winner = best_of(train.search, "accuracy")
}

check "learns" {
  condition     = local.winner.metrics.accuracy > 0.3
  error_message = "no combination learns these images"
}

output "accuracy" {
  value = { for key, run in train.search : key => run.metrics.accuracy }
}

output "winner" {
  value = local.winner.best.path
}
