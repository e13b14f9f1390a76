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

run "a_decay_needs_two_epochs_to_be_switched_off_before" {
  variables {
    epochs = 1
  }
  expect_diagnostics = ["mixup.off_epoch"]
}
