# runner test examples/matrix: which instance wins, without training.
mock "dataset.images" {
  classes = ["A", "B"]
}

mock "train.search[\"config.optimizer.type=adamw,learning_rate=0.001\"]" {
  metrics = { accuracy = 0.9 }
}

mock "train.search" {
  metrics = { accuracy = 0.4 }
}

run "the_best_wins" {
  command = "apply"
  assert {
    condition     = length(keys(output.accuracy)) == 4 && max(values(output.accuracy)...) == 0.9 && check.learns
    error_message = "the outputs do not tell the four accuracies"
  }
}

run "one_instance_alone" {
  targets = ["train.search[\"config.optimizer.type=sgd,learning_rate=0.01\"]"]
  actions = { "train.search[\"config.optimizer.type=sgd,learning_rate=0.01\"]" = "reuse" }
}

run "nothing_learns" {
  command = "apply"
  replace = ["train.search"]
  mock "train.search" {
    metrics = { accuracy = 0.1 }
  }
  expect_diagnostics = ["no combination learns"]
}
