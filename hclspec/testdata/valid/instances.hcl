pipeline "instances" {
  store = "state.db"
}

variable "sizes" {
  type    = map(object({ epochs = number, rate = optional(number, 0.1) }))
  default = { small = { epochs = 1 }, large = { epochs = 9, rate = 0.01 } }
}

locals {
  shared = { mixed_precision = true, augmentation = { enabled = true } }
  metric = "loss"
}

dataset "a" {
  format  = "imagefolder"
  path    = "data/a"
  classes = ["cat", "dog"]
  split {
    train = 0.7
    test  = 0.1
    seed  = 3
  }
}

dataset "b" {
  format = "imagefolder"
  paths  = { train = "data/b/train", val = "/data/b/val" }
}

dataset "both" {
  union = [dataset.a, dataset.b]
}

model "net" {
  name   = "convnet"
  freeze = ["stem.*"]
}

model "big" {
  name       = "resnet18"
  pretrained = true
}

train "grid" {
  model      = model.net
  dataset    = dataset.both
  epochs     = 5
  batch_size = 16
  on_change  = "resume"
  timeout    = "1h30m"
  config     = merge(local.shared, { augmentation = { enabled = true, rotation = 10 } })
  matrix = {
    "model"                     = [model.net, model.big]
    "config.optimizer.type"     = ["sgd", "adam"]
    "config.optimizer.momentum" = [0.9]
  }
  checkpoint {
    every     = 2
    keep_best = 3
  }
}

train "sizes" {
  for_each      = var.sizes
  model         = model.net
  dataset       = dataset.a
  epochs        = each.value.epochs
  learning_rate = each.value.rate
  monitor       = "loss"
  preset        = each.key == "small" ? "basic" : "aggressive"
}

evaluate "each" {
  for_each   = train.sizes
  checkpoint = each.value.best
  dataset    = dataset.a
  split      = "test"
}

evaluate "best" {
  checkpoint = best_of(train.sizes, local.metric, "min").latest
  dataset    = dataset.a
  depends_on = [evaluate.each]
  retry {
    attempts = 2
  }
}

check "all_good" {
  condition     = length([for run in evaluate.each : run if run.metrics.accuracy < 0.5]) == 0
  error_message = "one of the sizes is bad"
}

output "accuracies" {
  value = { for name, run in evaluate.each : name => run.metrics.accuracy }
}

moved {
  from = train.old["x"]
  to   = train.sizes["small"]
}
