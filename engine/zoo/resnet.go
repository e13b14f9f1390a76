package zoo

import (
	"fmt"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
)

var resnet18 = resnet("resnet18", 11689512, basicBlock, [4]int{2, 2, 2, 2},
	"ResNet with 18 layers (He et al., 2015): a strong baseline that fine-tunes fast")

var resnet34 = resnet("resnet34", 21797672, basicBlock, [4]int{3, 4, 6, 3},
	"ResNet with 34 layers (He et al., 2015): more capacity than resnet18 in the same blocks")

var resnet50 = resnet("resnet50", 25557032, bottleneck, [4]int{3, 4, 6, 3},
	"ResNet with 50 layers (He et al., 2015) in bottleneck blocks: the usual reference model")

// block adds one residual block under a name.
type block func(n *nn.Net, name string, x graph.Value, width, stride int) graph.Value

func resnet(name string, parameters int, add block, depths [4]int, description string) Model {
	return Model{
		Info: Info{
			Name: name, Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 1,
			Parameters: parameters, Hub: "timm/" + name + ".a1_in1k", Classifier: []string{"fc.weight", "fc.bias"},
			Description: description,
			License:     "apache-2.0", Mean: imagenetMean, Std: imagenetStd, Interpolation: "bicubic", CropPct: 0.95,
		},
		forward: func(n *nn.Net, x graph.Value, classes int) graph.Value {
			x = n.Conv("conv1", x, nn.ConvOptions{Out: 64, Kernel: 7, Stride: 2, Pad: 3})
			x = n.G.Relu(n.BatchNorm("bn1", x, 1))
			x = n.G.MaxPool(x, graph.PoolAttrs{Kernel: 3, Stride: 2, Pad: 1})
			for l, depth := range depths {
				for b := range depth {
					stride := 1
					if l > 0 && b == 0 {
						stride = 2
					}
					x = add(n, fmt.Sprintf("layer%d.%d", l+1, b), x, 64<<l, stride)
				}
			}
			return n.Linear("fc", pool(n, x), classes, nil, nil)
		},
	}
}

// basicBlock is two 3x3 convolutions. The last batch norm of a branch starts
// with scale 0, so that a new network's blocks begin as identities.
func basicBlock(n *nn.Net, name string, x graph.Value, width, stride int) graph.Value {
	y := n.Conv(name+".conv1", x, nn.ConvOptions{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = n.G.Relu(n.BatchNorm(name+".bn1", y, 1))
	y = n.Conv(name+".conv2", y, nn.ConvOptions{Out: width, Kernel: 3, Pad: 1})
	y = n.BatchNorm(name+".bn2", y, 0)
	return n.G.Relu(n.G.Add(y, shortcut(n, name, x, width, stride)))
}

// bottleneck is 1x1, 3x3 (which takes the stride) and 1x1 to four times the width.
func bottleneck(n *nn.Net, name string, x graph.Value, width, stride int) graph.Value {
	y := n.Conv(name+".conv1", x, nn.ConvOptions{Out: width, Kernel: 1})
	y = n.G.Relu(n.BatchNorm(name+".bn1", y, 1))
	y = n.Conv(name+".conv2", y, nn.ConvOptions{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = n.G.Relu(n.BatchNorm(name+".bn2", y, 1))
	y = n.Conv(name+".conv3", y, nn.ConvOptions{Out: 4 * width, Kernel: 1})
	y = n.BatchNorm(name+".bn3", y, 0)
	return n.G.Relu(n.G.Add(y, shortcut(n, name, x, 4*width, stride)))
}

// shortcut is x itself, or a 1x1 convolution where the shape changes.
func shortcut(n *nn.Net, name string, x graph.Value, out, stride int) graph.Value {
	if stride == 1 && n.G.Dim(x, 1) == out {
		return x
	}
	x = n.Conv(name+".downsample.0", x, nn.ConvOptions{Out: out, Kernel: 1, Stride: stride})
	return n.BatchNorm(name+".downsample.1", x, 1)
}
