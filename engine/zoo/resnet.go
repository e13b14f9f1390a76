package zoo

var resnet18 = resnet("resnet18", 11689512, "ResNet with 18 layers (He et al., 2015): a strong baseline that fine-tunes fast")

var resnet34 = resnet("resnet34", 21797672, "ResNet with 34 layers (He et al., 2015): more capacity than resnet18 in the same blocks")

var resnet50 = resnet("resnet50", 25557032, "ResNet with 50 layers (He et al., 2015) in bottleneck blocks: the usual reference model")

func resnet(name string, parameters int, description string) Model {
	return Model{
		Info: Info{
			Name: name, Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 1,
			Parameters: parameters, Hub: "timm/" + name + ".a1_in1k", Classifier: []string{"fc.weight", "fc.bias"},
			Description: description,
			License:     "apache-2.0", Mean: imagenetMean, Std: imagenetStd, Interpolation: "bicubic", CropPct: 0.95,
		},
	}
}
