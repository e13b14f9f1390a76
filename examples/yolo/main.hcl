# Object detection with YOLO. The ultralytics package is under AGPL-3.0: it runs in a
# process of its own, the plan shows the licence, and a policy may refuse it.
#   runner dataset sample shapes demo/shapes --format yolo
#   runner init examples/yolo
#   runner apply examples/yolo
pipeline "yolo" {
  description = "Where are circles, squares and triangles?"
}

variable "data" {
  type        = string
  description = "A folder with a data.yaml, or with images/ and labels/, in YOLO's style"
  default     = "../../demo/shapes"
}

variable "epochs" {
  type    = number
  default = 50
}

variable "forbid" {
  type        = list(string)
  description = "Licences that are refused; try [\"AGPL-3.0\"]"
  default     = []
}

policy {
  forbid_licenses = var.forbid
}

dataset "shapes" {
  format = "yolo"
  path   = var.data
}

model "detector" {
  adapter    = "ultralytics"
  name       = "yolov8n" # from its yaml, with random weights; weights = "….pt" begins with yours
  task       = "object_detection"
  image_size = 128
}

train "boxes" {
  model         = model.detector
  dataset       = dataset.shapes
  epochs        = var.epochs
  batch_size    = 16
  learning_rate = 0.002
  seed          = 1
  preset        = "standard"
  monitor       = "map50"
  config {
    augmentation {
      mosaic       = 0.5
      close_mosaic = 5 # the last epochs see whole images
    }
  }
}

export "onnx" {
  checkpoint = train.boxes.best
}

output "map50" {
  value = train.boxes.metrics.map50
}
