pipeline "p" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
  epochs = 3 # ERROR: Unsupported argument | "epochs" belongs under block train.
}
model "m" {
  name          = "convnet"
  learning_rate = 1 # ERROR: Unsupported argument | "learning_rate" belongs under block train.
  path          = "x" # ERROR: Unsupported argument | "path" belongs under block dataset.
}
train "t" {
  model        = model.m
  dataset      = dataset.d
  epochs       = 2
  weight_decay = 0.1 # ERROR: Unsupported argument | "weight_decay" belongs under block config.optimizer.
  image_size   = 32 # ERROR: Unsupported argument | "image_size" belongs under block model.
  keep_last    = 2 # ERROR: Unsupported argument | "keep_last" belongs under block checkpoint.
  epoch        = 3 # ERROR: Unsupported argument | Did you mean "epochs"?
  optimizer { # ERROR: Unsupported block | "optimizer" belongs under block config.
    type = "sgd"
  }
  config {
    weight_decay = 0.1 # ERROR: Unsupported config field | "weight_decay" belongs under block optimizer of config.
    epochs       = 3 # ERROR: Unsupported config field | "epochs" belongs under block train.
    optimizer {
      tpye          = "sgd" # ERROR: Unsupported config field | Did you mean "optimizer.type"?
      weight_decay  = 2 # ERROR: Invalid config value | between 0 and 1
      learning_rate = "big" # ERROR: Invalid config value | must be a number, not the string "big"
    }
    optimizer { # ERROR: Duplicate block | Merge the two
    }
    scheduler {
      type = "cosin" # ERROR: Invalid config value | Did you mean "cosine"?
    }
    augmentation = 3 # ERROR: Unsupported config field | is a group of settings
  }
}
