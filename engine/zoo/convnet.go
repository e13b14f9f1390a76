package zoo

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
)

var convnet = Model{
	Info: Info{
		Name: "convnet", Tasks: classify, DefaultImageSize: 32, MinImageSize: 8, SizeMultiple: 1,
		Parameters: 416456, Classifier: []string{"fc.weight", "fc.bias"},
		Description: "Small VGG-style network of six 3x3 convolutions with batch norm, for images of 32 to 64 px",
		License:     "apache-2.0", Mean: half, Std: half, Interpolation: "bilinear", CropPct: 1,
	},
	forward: func(n *nn.Net, x graph.Value, classes int) graph.Value {
		for i, width := range []int{32, 64, 128} {
			for j := 1; j <= 2; j++ {
				x = n.Conv(fmt.Sprintf("stages.%d.conv%d", i, j), x, nn.ConvOptions{Out: width, Kernel: 3, Pad: 1})
				x = n.G.Relu(n.BatchNorm(fmt.Sprintf("stages.%d.bn%d", i, j), x, 1))
			}
			x = n.G.MaxPool(x, graph.PoolAttrs{Kernel: 2, Stride: 2})
		}
		return n.Linear("fc", pool(n, x), classes, nil, nil)
	},
}

// pool averages images [N, C, H, W] to vectors [N, C].
func pool(n *nn.Net, x graph.Value) graph.Value {
	return n.G.Flatten(n.G.GlobalAvgPool(x), 1)
}
