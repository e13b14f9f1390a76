package zoo

// Model is one entry of the zoo.
type Model struct {
	Info
}

// All lists the models in the order in which they are shown.
var All = []Model{
	convnet,
	resnet18,
	resnet34,
	resnet50,
	mobilenetV3Small,
	vitTiny,
}
