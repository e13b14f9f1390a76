# Object detection with a permissive licence: transformers' YOLOS, from its
# configuration. Make images with boxes first:
#   runner dataset sample shapes demo/shapes
# `runner init examples/detection` makes the Python environment.
pipeline "shapes" {
  description = "Where are circles, squares and triangles?"
}

variable "data" {
  type        = string
  description = "Images with labels in COCO's style, as runner dataset sample shapes makes them"
  default     = "../../demo/shapes"
}

variable "epochs" {
  type    = number
  default = 30
}

variable "least" {
  type        = number
  description = "The mean average precision (IoU 0.5) to ask for. From scratch it takes hundreds of epochs, and a GPU, to get somewhere"
  default     = 0
}

policy {
  forbid_licenses = ["AGPL-3.0"] # the plan refuses adapters, models and weights under it
}

dataset "shapes" {
  format = "coco"
  path   = var.data

  checks {
    max_corrupt = 0
    leakage     = "error"
  }
}

model "detector" {
  adapter    = "transformers"
  name       = "yolos-tiny"
  task       = "object_detection"
  image_size = 128
}

train "boxes" {
  model      = model.detector
  dataset    = dataset.shapes
  epochs     = var.epochs
  batch_size = 8
  seed       = 1
  preset     = "standard"
  monitor    = "map50"
}

evaluate "again" {
  checkpoint = train.boxes.best
  dataset    = dataset.shapes
  split      = "val"
}

export "onnx" {
  checkpoint = train.boxes.best
}

check "finds_them" {
  condition     = evaluate.again.metrics.map50 >= var.least
  error_message = "mAP at IoU 0.5 is below ${var.least}"
}

output "model" {
  value = export.onnx.path
}
