package zoo

var mobilenetV3Small = Model{
	Info: Info{
		Name: "mobilenetv3_small_100", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 1,
		Parameters: 2542856, Hub: "timm/mobilenetv3_small_100.lamb_in1k", Classifier: []string{"classifier.weight", "classifier.bias"},
		Description: "MobileNetV3 small (Howard et al., 2019): depthwise convolutions and squeeze-excitation, made for small devices",
		License:     "apache-2.0", Mean: imagenetMean, Std: imagenetStd, Interpolation: "bicubic", CropPct: 0.875,
	},
}
