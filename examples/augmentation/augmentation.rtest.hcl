# runner test examples/augmentation
mock "dataset.images" {
  classes = ["A", "B"]
  train   = 100
  val     = 25
}

run "trains_each_recipe" {
  actions = {
    "train.recipe[\"plain\"]"      = "run"
    "train.recipe[\"transforms\"]" = "run"
    "train.recipe[\"mixed\"]"      = "run"
  }
}

run "mixing_cannot_end_before_it_begins" {
  variables {
    epochs = 1
  }
  expect_diagnostics = ["mixup.off_epoch"]
}
