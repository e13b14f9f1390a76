bb = "x"
