pipeline { # ERROR: Missing block label | pipeline NAME
}
