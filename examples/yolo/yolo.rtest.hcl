# runner test examples/yolo
mock "dataset.shapes" {
  classes = ["circle", "square", "triangle"]
  train   = 100
  val     = 25
}

mock "train.boxes" {
  metrics = { map50 = 0.9 }
}

run "trains" {
  command = "apply"
  actions = { "train.boxes" = "run", "export.onnx" = "run" }
  assert {
    condition     = output.map50 >= 0.9
    error_message = "the output does not follow the metrics"
  }
}

run "a_policy_refuses_the_licence" {
  command = "validate"
  variables {
    forbid = ["AGPL-3.0"]
  }
  expect_diagnostics = ["AGPL-3.0"]
}
