# Checkpoints, models and run records where other machines find them: a CI
# machine that is thrown away loses nothing, and the next one goes on where it
# stopped. A shared folder here; a bucket is
#
#   artifacts "s3" {
#     bucket   = "models"
#     prefix   = "team/vision"
#     endpoint = env("R2_ENDPOINT")
#   }
#
# with its keys in R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, or in the AWS chain.
pipeline "artifacts" {
  description = "Glyphs whose checkpoints other machines can go on from"
}

artifacts "dir" {
  path = "../../demo/archive"
}

variable "data" {
  type    = string
  default = "../../demo/data"
}

dataset "glyphs" {
  format = "imagefolder"
  path   = var.data
}

model "convnet" {
  adapter = "native"
  name    = "convnet"
  task    = "image_classification"
}

train "base" {
  model      = model.convnet
  dataset    = dataset.glyphs
  epochs     = 10
  batch_size = 64
  checkpoint {
    keep_last = 2
  }
}
