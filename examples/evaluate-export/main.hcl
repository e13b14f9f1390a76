# Trains, scores the best checkpoint once more with the engine that will serve
# it, exports it, and fails where a class is recognised badly.
pipeline "evaluate_export" {
  description = "Train, evaluate, export, check"
}

variable "data" {
  type    = string
  default = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 8
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

train "net" {
  model      = model.net
  dataset    = dataset.images
  epochs     = var.epochs
  batch_size = 64
  preset     = "basic"

  checkpoint {
    keep_last = 2
    keep_best = 1
  }
}

evaluate "holdout" {
  checkpoint = train.net.best
  dataset    = dataset.images
  split      = "val"
}

export "onnx" {
  checkpoint = train.net.best
  precision  = "fp32"
}

check "same" {
  condition     = abs(evaluate.holdout.metrics.accuracy - train.net.metrics.accuracy) < 0.001
  error_message = "the exported model scores otherwise than the training said"
}

output "accuracy" {
  value = evaluate.holdout.metrics.accuracy
}

output "model" {
  description = "The file to deploy"
  value       = export.onnx.artifacts["model.onnx"]
}
