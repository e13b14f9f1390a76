# runner test examples/glyphs: what the pipeline decides, in milliseconds.
mock "dataset.glyphs" {
  classes = ["A", "B", "C"]
  train   = 100
  val     = 25
}

mock "train.reader" {
  metrics = { accuracy = 0.99 }
}

run "trains_and_passes_the_check" {
  command = "apply"
  actions = { "train.reader" = "run" }
  assert {
    condition     = output.accuracy >= 0.97 && check.accuracy
    error_message = "the outputs or the check do not follow the metrics"
  }
}

run "does_nothing_again" {
  actions = { "train.reader" = "reuse" }
}

run "goes_on_with_more_epochs" {
  variables {
    epochs = 12
  }
  actions = { "train.reader" = "resume_change" }
}

run "a_bad_reader_is_refused" {
  command = "apply"
  variables {
    epochs = 3
  }
  mock "train.reader" {
    metrics = { accuracy = 0.5 }
  }
  expect_diagnostics = ["less than 97 %"]
}

run "epochs_are_checked" {
  command = "validate"
  variables {
    epochs = 0
  }
  expect_diagnostics = ["epochs must be positive"]
}

run "too_few_images_stop_the_plan" {
  mock "dataset.glyphs" {
    train = 5
  }
  expect_diagnostics = ["class"]
}
