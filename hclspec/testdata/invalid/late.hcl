pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
train "a" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
}
locals {
  size = train.a.metrics.accuracy > 0.5 ? 32 : 64
}
model "late" {
  adapter    = train.a.run_id # ERROR: Value is known too late | train.a
  name       = "convnet"
  image_size = local.size # ERROR: Value is known too late | "image_size"
}
dataset "late" {
  format = train.a.best.name # ERROR: Value is known too late | "format"
  path   = "${train.a.run_id}/data"
}
train "b" {
  model         = model.m
  dataset       = dataset.d
  epochs        = local.size # ERROR: Value is known too late | "epochs"
  preset        = train.a.run_id # ERROR: Value is known too late | "preset"
  learning_rate = train.a.metrics.loss # ERROR: Value is known too late
  config {
    optimizer {
      weight_decay = train.a.metrics.loss # ERROR: Value is known too late | "config.optimizer.weight_decay"
    }
  }
}
train "c" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  for_each = toset([train.a.run_id]) # ERROR: Value is known too late | "for_each"
}
train "e" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix = {
    "seed" = [train.a.best.epoch] # ERROR: Value is known too late | A matrix
  }
}
train "f" {
  model   = train.a.metrics.accuracy > 0.5 ? model.m : model.late # ERROR: Value is known too late | "model"
  dataset = dataset.d
  epochs  = 2
}
