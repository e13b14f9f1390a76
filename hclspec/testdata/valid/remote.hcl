pipeline "remote" {}

executor "remote" "box" {
  url   = "https://gpu-box:8443"
  token = secret("GPU_BOX_TOKEN")
  gpus  = 1
}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  name = "convnet"
}

train "t" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  executor = executor.remote.box
}
