package zoo

import (
	"fmt"
	"math"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
)

var mobilenetV3Small = Model{
	Info: Info{
		Name: "mobilenetv3_small_100", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 1,
		Parameters: 2542856, Hub: "timm/mobilenetv3_small_100.lamb_in1k", Classifier: []string{"classifier.weight", "classifier.bias"},
		Description: "MobileNetV3 small (Howard et al., 2019): depthwise convolutions and squeeze-excitation, made for small devices",
		License:     "apache-2.0", Mean: imagenetMean, Std: imagenetStd, Interpolation: "bicubic", CropPct: 0.875,
	},
	forward: mobilenetV3SmallForward,
}

// inverted is one inverted residual block: expand to mid channels, depthwise
// convolution, project to out.
type inverted struct {
	kernel, mid, out, stride int
	excite, swish            bool
}

// mobilenetV3SmallStages is table 2 of Howard et al. after the first block.
var mobilenetV3SmallStages = [][]inverted{
	{{3, 72, 24, 2, false, false}, {3, 88, 24, 1, false, false}},
	{{5, 96, 40, 2, true, true}, {5, 240, 40, 1, true, true}, {5, 240, 40, 1, true, true}},
	{{5, 120, 48, 1, true, true}, {5, 144, 48, 1, true, true}},
	{{5, 288, 96, 2, true, true}, {5, 576, 96, 1, true, true}, {5, 576, 96, 1, true, true}},
}

func mobilenetV3SmallForward(n *nn.Net, x graph.Value, classes int) graph.Value {
	x = mobileConv(n, "conv_stem", x, 16, 3, 2, 1)
	x = n.G.HardSwish(n.BatchNorm("bn1", x, 1))

	x = mobileConv(n, "blocks.0.0.conv_dw", x, 16, 3, 2, 16)
	x = n.G.Relu(n.BatchNorm("blocks.0.0.bn1", x, 1))
	x = squeezeExcite(n, "blocks.0.0.se", x)
	x = n.BatchNorm("blocks.0.0.bn2", mobileConv(n, "blocks.0.0.conv_pw", x, 16, 1, 1, 1), 1)

	for s, stage := range mobilenetV3SmallStages {
		for b, o := range stage {
			x = invertedResidual(n, fmt.Sprintf("blocks.%d.%d", s+1, b), x, o)
		}
	}
	x = mobileConv(n, "blocks.5.0.conv", x, 576, 1, 1, 1)
	x = pool(n, n.G.HardSwish(n.BatchNorm("blocks.5.0.bn1", x, 1)))
	x = n.G.HardSwish(n.ConvLinear("conv_head", x, 1024, nn.KaimingFanOut(1024, 1), nn.Constant(0)))
	return n.Linear("classifier", x, classes, nn.Uniform(1/math.Sqrt(float64(classes))), nn.Constant(0))
}

func invertedResidual(n *nn.Net, name string, x graph.Value, o inverted) graph.Value {
	act := n.G.Relu
	if o.swish {
		act = n.G.HardSwish
	}
	y := act(n.BatchNorm(name+".bn1", mobileConv(n, name+".conv_pw", x, o.mid, 1, 1, 1), 1))
	y = act(n.BatchNorm(name+".bn2", mobileConv(n, name+".conv_dw", y, o.mid, o.kernel, o.stride, o.mid), 1))
	if o.excite {
		y = squeezeExcite(n, name+".se", y)
	}
	y = n.BatchNorm(name+".bn3", mobileConv(n, name+".conv_pwl", y, o.out, 1, 1, 1), 1)
	if o.stride == 1 && n.G.Dim(x, 1) == o.out {
		y = n.G.Add(y, x)
	}
	return y
}

// mobileConv keeps the size up to the stride. Its kernel starts as in
// TensorFlow's MobileNets: normal with the fan-out of one group.
func mobileConv(n *nn.Net, name string, x graph.Value, out, kernel, stride, group int) graph.Value {
	return n.Conv(name, x, nn.ConvOptions{
		Out: out, Kernel: kernel, Stride: stride, Pad: kernel / 2, Group: group,
		Weight: nn.KaimingFanOut(out/group, kernel),
	})
}

// squeezeExcite scales each channel by a gate computed from all channels' means.
func squeezeExcite(n *nn.Net, name string, x graph.Value) graph.Value {
	c := n.G.Dim(x, 1)
	s := pool(n, x)
	reduced := divisibleBy8(c / 4)
	s = n.G.Relu(n.ConvLinear(name+".conv_reduce", s, reduced, nn.KaimingFanOut(reduced, 1), nn.Constant(0)))
	s = n.ConvLinear(name+".conv_expand", s, c, nn.KaimingFanOut(c, 1), nn.Constant(0))
	gate := n.G.HardSigmoid(s)
	return n.G.Mul(x, n.G.Reshape(gate, n.G.Dim(gate, 0), c, 1, 1))
}

// divisibleBy8 rounds a channel count to a multiple of 8, by at most 10 % down.
func divisibleBy8(v int) int {
	r := max(8, (v+4)/8*8)
	if 10*r < 9*v {
		r += 8
	}
	return r
}
