pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
train "axes" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix = {
    "learning_rate" = [0.1, 0.2]
    "learning_rate" = [0.3] # ERROR: Duplicate axis | on line 14
    "config.optimizer.learning_rate" = [0.3] # ERROR: Duplicate axis
    "optimizer.type" = ["sgd"] # ERROR: Unknown axis | Did you mean "config.optimizer.type"?
    "epoch" = [1] # ERROR: Unknown axis | Did you mean "epochs"?
    "seed" = [] # ERROR: Invalid matrix | no values
    "batch_size" = 8 # ERROR: Invalid matrix | needs a list
    "epochs" = [1, 2, 1] # ERROR: Duplicate instance | lists 1 twice
  }
}
train "bad_values" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix = {
    "config.optimizer.tpye" = [
      "sgd", # ERROR: Unsupported config field | Did you mean "optimizer.type"?
    ]
    "learning_rate" = [
      0.1,
      20, # ERROR: Invalid config value | between 0 and 10, not 20. This concerns train.bad_values["config.optimizer.tpye=sgd,learning_rate=20,epochs=0"]
    ]
    "epochs" = [
      0, # ERROR: Invalid value | "epochs" must be a whole number
      3,
    ]
  }
}
train "not_written_out" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix  = local.grid # ERROR: Invalid matrix | written out as an object of lists
}
train "both" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  for_each = ["a"] # ERROR: Contradicting arguments | matrix or for_each
  matrix   = { "seed" = [1, 2] }
}
train "keys" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  for_each = ["a", "b", "a"] # ERROR: Duplicate instance | lists "a" twice
}
train "numbers" {
  model    = model.m
  dataset  = dataset.d
  epochs   = 2
  for_each = [1, 2] # ERROR: Invalid value | different strings
}
train "good" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix  = { "seed" = [1, 2] }
}
output "unindexed" {
  value = train.good.metrics.accuracy # ERROR: Step has several instances | the keys are "seed=1", "seed=2"
}
output "wrong_key" {
  value = train.good["seed=3"].metrics.accuracy # ERROR: No such instance | Did you mean "seed=1"?
}
evaluate "unindexed" {
  checkpoint = train.good.best # ERROR: Step has several instances
  dataset    = dataset.d
}
evaluate "whole" {
  checkpoint = train.good # ERROR: Invalid value
  dataset    = dataset.d
}
evaluate "good" {
  checkpoint = train.good["seed=1"].best
  dataset    = dataset.d
}
output "no_instances" {
  value = evaluate.good["x"].metrics.accuracy # ERROR: No such instance | neither matrix nor for_each
}
output "not_instances" {
  value = best_of(train.good["seed=1"], "accuracy") # ERROR: Invalid function argument | best_of picks from the instances
}
output "mode" {
  value = best_of(train.good, "loss", "low").metrics.loss # ERROR: Invalid function argument | "min" or "max"
}
locals {
  grid = { "seed" = [1, 2] }
}
