package zoo

var convnet = Model{
	Info: Info{
		Name: "convnet", Tasks: classify, DefaultImageSize: 32, MinImageSize: 8, SizeMultiple: 1,
		Parameters: 416456, Classifier: []string{"fc.weight", "fc.bias"},
		Description: "Small VGG-style network of six 3x3 convolutions with batch norm, for images of 32 to 64 px",
		License:     "apache-2.0", Mean: half, Std: half, Interpolation: "bilinear", CropPct: 1,
	},
}
