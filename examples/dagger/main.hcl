# The demo in containers of a Dagger engine. docs/dagger.md says what is needed;
# `runner doctor` says whether it is there.
pipeline "glyphs-in-containers" {
  description = "Which character is it? Trained in a container"
}

variable "data" {
  type        = string
  description = "The image folder, as runner dataset sample glyphs makes it"
  default     = "../../demo/data"
}

variable "image" {
  type        = string
  description = "The containers' base: an image, or a folder with a root file system"
  default     = "debian:12-slim"
}

variable "epochs" {
  type    = number
  default = 3
}

executor "dagger" "box" {
  image = var.image
}

# Any command: files in from /inputs/NAME, files out to /outputs/NAME. While
# command, image and inputs are the same, the engine answers it from its cache.
step "list" {
  command  = ["sh", "-c", "cd /inputs/images && find . -name '*.png' | sort > /outputs/list"]
  inputs   = { images = var.data }
  outputs  = { list = "build/images.txt" }
  executor = executor.dagger.box
}

dataset "glyphs" {
  format = "imagefolder"
  path   = var.data
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
  executor      = executor.dagger.box
  depends_on    = [step.list]

  retry {
    attempts = 2
    on       = ["infrastructure"]
  }
}

evaluate "again" {
  checkpoint = train.reader.best
  dataset    = dataset.glyphs
  split      = "val"
  executor   = executor.dagger.box
}

output "accuracy" {
  value = evaluate.again.metrics.accuracy
}

output "list" {
  value = step.list.outputs.list
}
