pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  name = "convnet"
}
train "inactive" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  config {
    optimizer {
      momentum = 0.9 # ERROR: Config field has no effect | because optimizer.type is "adam"
    }
    augmentation {
      rotation = 10 # ERROR: Config field has no effect | because augmentation.enabled is false
    }
  }
}
train "contradiction" {
  model         = model.m
  dataset       = dataset.d
  epochs        = 2
  learning_rate = 0.1
  config = {
    optimizer = {
      learning_rate = 0.2 # ERROR: Contradicting values | They are one value
      wieght_decay  = 0.1 # ERROR: Unsupported config field | Did you mean "optimizer.weight_decay"?
    }
  }
}
train "both" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  preset  = "standrad" # ERROR: Unknown preset | Did you mean "standard"?
  config  = {}
  config { # ERROR: Contradicting arguments | as an argument on line 39 and as a block
  }
}
train "types" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  config  = "x" # ERROR: Invalid value | "config" must be an object
}
train "all_cells" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  config {
    optimizer {
      momentum = 0.9 # ERROR: Config field has no effect | in every instance
    }
  }
  matrix = {
    "config.optimizer.type" = ["adam", "adamw"]
  }
}
train "some_cell" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  config {
    optimizer {
      momentum = 0.9
    }
  }
  matrix = {
    "config.optimizer.type" = ["adam", "sgd"]
  }
}
train "cell_without_effect" {
  model   = model.m
  dataset = dataset.d
  epochs  = 2
  matrix = {
    "config.optimizer.momentum" = [
      0.5, # ERROR: Config field has no effect | optimizer.type is "adam"
      0.9, # ERROR: Config field has no effect | optimizer.type is "adam"
    ]
  }
}
