package zoo

var vitTiny = Model{
	Info: Info{
		Name: "vit_tiny_patch16_224", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 16,
		Parameters: 5717416, Hub: "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", Classifier: []string{"head.weight", "head.bias"},
		Description: "Vision Transformer, tiny (Dosovitskiy et al., 2020; Touvron et al., 2020): 12 blocks of width 192 over 16 px patches",
		License:     "apache-2.0", Mean: half, Std: half, Interpolation: "bicubic", CropPct: 0.9,
	},
}
