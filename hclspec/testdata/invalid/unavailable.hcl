# plan
pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "gs://bucket/x" # ERROR: Not available in this version | gs://
}
dataset "coco" {
  format = "yolo" # ERROR: Not available in this version | "yolo"
  path   = "data"
}
model "m" {
  name = "convnet"
}
model "det" {
  name = "convnet"
  task = "object_detection" # ERROR: Not available in this version | object_detection
}
model "file" {
  name = "my.onnx" # ERROR: Not available in this version | .onnx
}
executor "kubernetes" "cluster" {
  image = "x"
}
executor "local" "here" {
  slots = 2 # ERROR: Not available in this version | choosing how many
}
train "t" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  sweep { # ERROR: Not available in this version | Sweeps
    space = { "learning_rate" = [0.1, 0.2] }
  }
}
train "yolo" {
  model    = model.m
  dataset  = dataset.coco
  epochs   = 2
  executor = executor.local.here
}
export "x" {
  checkpoint = train.t.best
  precision  = "int8" # ERROR: Not available in this version | int8
}
tracker "mlflow" { # ERROR: Not available in this version | tracker
  uri = env("UNSET_URI") # ERROR: Environment variable is not set | env("UNSET_URI", "…")
}
notify "slack" { # ERROR: Not available in this version | notify
  url = "https://example.com"
}
adapter "mine" { # ERROR: Not available in this version | Adapters of your own
  source = "./adapter.py"
}
export "watched" {
  checkpoint      = train.t.best
  max_metric_drop = 0.01 # ERROR: Not available in this version | again
}
