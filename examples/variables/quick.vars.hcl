epochs = 2
size   = 32
