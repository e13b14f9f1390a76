package optim

var sgd = Rule{
	Name:        "sgd",
	Description: "Stochastic gradient descent with momentum; the classic choice for convolutional networks",
	Slots:       []string{"momentum_buffer"},
}
