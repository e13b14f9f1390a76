# Training from few images: a recipe of timm's transforms, mixing, stochastic depth and a
# schedule, each checked against timm's schema before anything runs
# (runner schema --adapter timm). `runner init examples/augmentation` makes the environment.
pipeline "augmentation" {
  description = "What does each part of the recipe bring?"
}

variable "data" {
  type        = string
  description = "The image folder, as runner dataset sample glyphs makes it"
  default     = "../../demo/data"
}

variable "epochs" {
  type    = number
  default = 20
}

dataset "images" {
  format = "imagefolder"
  path   = var.data
}

model "net" {
  adapter    = "timm"
  name       = "resnet18"
  task       = "image_classification"
  image_size = 32
}

locals {
  plain = {
    scheduler       = { type = "cosine", warmup_epochs = 2 }
    label_smoothing = 0.1
  }
  recipes = {
    plain = local.plain
    transforms = merge(local.plain, {
      augmentation = {
        enabled             = true
        random_flip         = false # letters are not their mirror images
        random_resized_crop = 0.5
        policy              = "randaugment"
        magnitude           = 7
        erasing_mode        = "pixel"
      }
    })
    mixed = merge(local.plain, {
      mixup          = { type = "both", off_epoch = var.epochs - 2 }
      drop_path_rate = 0.1
      scheduler      = { type = "wsd", warmup_epochs = 2, decay_epochs = 5 }
    })
  }
}

train "recipe" {
  for_each      = local.recipes
  model         = model.net
  dataset       = dataset.images
  epochs        = var.epochs
  batch_size    = 64
  learning_rate = 0.002
  seed          = 1
  config        = each.value
}

output "accuracy" {
  value = { for name, run in train.recipe : name => run.metrics.accuracy }
}
