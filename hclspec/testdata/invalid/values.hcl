pipeline "p" {
  required_version = "> x" # ERROR: Invalid version constraint
}
dataset "d" {
  format = "imagfolder" # ERROR: Invalid value | Did you mean "imagefolder"?
  path   = "data"
  split { # ERROR: Invalid value | may sum to at most 1
    train = 0.9
    val   = 0.3
  }
  checks {
    leakage = "stop" # ERROR: Invalid value | "error", "warn" or "ignore"
  }
}
dataset "two" {
  format = "imagefolder"
  path   = "data"
  paths  = { train = "x" } # ERROR: Contradicting arguments | one of path, paths and union
}
dataset "none" { # ERROR: Missing required argument | path, paths or union
  format = "imagefolder"
}
dataset "splits" {
  format = "imagefolder"
  paths = {
    train      = "a"
    validation = "b" # ERROR: Invalid value | no split "validation"
  }
}
model "m" {
  name       = "resnet81" # ERROR: Unknown model | Did you mean "resnet18"?
  image_size = 1.5 # ERROR: Invalid value | whole number
}
model "n" {
  adapter = "nativ" # ERROR: Unknown adapter | Did you mean "native"?
  name    = "resnet18"
  task    = "classification" # ERROR: Invalid value | "task" must be
}
model "both" {
  name       = "resnet18"
  weights    = "x.safetensors"
  pretrained = true # ERROR: Contradicting arguments | not both
}
model "untrained" {
  name       = "convnet"
  pretrained = true # ERROR: No pretrained weights
}
model "ok" {
  name = "convnet"
}
dataset "ok" {
  format = "imagefolder"
  path   = "data"
}
train "two_devices" {
  model      = model.ok
  dataset    = dataset.ok
  epochs     = 1
  batch_size = 8
  device     = "cuda:0,cuda:1" # ERROR: Invalid value | names one device
}
train "t" {
  model      = model.ok
  dataset    = dataset.ok
  epochs     = "3" # ERROR: Invalid value | tonumber
  batch_size = 0 # ERROR: Invalid value | between 1 and 1000000
  seed       = -1 # ERROR: Invalid value
  device     = "gpu" # ERROR: Invalid value | "cuda:N"
  mode       = "maximum" # ERROR: Invalid value | "max" or "min"
  on_change  = "reset" # ERROR: Invalid value
  timeout    = "2 hours" # ERROR: Invalid value | duration
  retry {
    attempts = 3
    on       = ["ooms"] # ERROR: Invalid value | Did you mean "oom"?
  }
  start {
    checkpoint = 3 # ERROR: Invalid value | a checkpoint (train.NAME.best) or a path
    mode       = "restart" # ERROR: Invalid value | "weights" or "resume"
  }
  checkpoint {
    every = 0 # ERROR: Invalid value
  }
}
evaluate "e" { # ERROR: Missing required argument | "model"
  checkpoint = "runs/x"
  dataset    = dataset.ok
}
step "s" { # ERROR: Missing executor | executor "dagger"
  image   = "alpine"
  command = [] # ERROR: Invalid value | must name a program
}
check "c" {
  condition     = train.t.metrics # ERROR: Invalid value | true or false
  error_message = "x"
}
