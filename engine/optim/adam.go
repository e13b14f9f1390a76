package optim

var adam = Rule{
	Name:        "adam",
	Description: "Adaptive step per weight; weight decay is added to the gradient (L2)",
	Slots:       []string{"exp_avg", "exp_avg_sq"},
}

var adamW = Rule{
	Name:        "adamw",
	Description: "Adam with weight decay decoupled from the gradient; a good default",
	Slots:       []string{"exp_avg", "exp_avg_sq"},
}
