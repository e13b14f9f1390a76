# Checkpoints and models in a bucket: a CI machine that is thrown away loses
# nothing, and the next one goes on where it stopped. The endpoint and the keys
# come from R2_ENDPOINT, R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, or from the
# AWS chain.
pipeline "artifacts" {
  description = "Glyphs with their checkpoints in a bucket"
}

artifacts "s3" {
  bucket = "models"
  prefix = "team/vision"
}

dataset "glyphs" {
  format = "imagefolder"
  path   = "../../demo/data"
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
