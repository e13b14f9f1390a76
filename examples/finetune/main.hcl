# Goes on from the checkpoint of an earlier step: first with everything frozen
# but the classifier, then with all weights and a small learning rate.
pipeline "finetune" {
  description = "Train, then fine-tune from the checkpoint"
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

train "base" {
  model      = model.net
  dataset    = dataset.images
  epochs     = var.epochs
  batch_size = 64
  preset     = "basic"
}

train "fine" {
  model         = model.net
  dataset       = dataset.images
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = 1e-4

  start {
    checkpoint = train.base.best
    mode       = "weights" # "resume" would take optimizer, schedule and position too
  }

  config {
    optimizer {
      type         = "adamw"
      weight_decay = 0.05
    }
    ema_decay       = 0.9
    label_smoothing = 0.05
  }
}

output "gain" {
  description = "Accuracy won by fine-tuning"
  value       = train.fine.metrics.accuracy - train.base.metrics.accuracy
}
