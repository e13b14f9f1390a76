pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
model "unknown" {
  name = "covnet" # ERROR: Unknown model
}
train "t" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  monitor = "acuracy" # WARNING: Unusual metric name | Did you mean "accuracy"?
}
train "config_is_checked_all_the_same" {
  model   = model.unknown
  dataset = dataset.d
  epochs  = 2
  config {
    mixed_precisoin = true # ERROR: Unsupported config field | Did you mean "mixed_precision"?
  }
}
check "c" {
  condition     = train.t.metrics.acuracy > 0.5 # WARNING: Unusual metric name
  error_message = "x"
}
check "own" {
  condition     = train.t.last_metrics["my_metric"] > 0.5
  error_message = "x"
}
