package zoo

import (
	"fmt"
	"math"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/nn"
)

var vitTiny = Model{
	Info: Info{
		Name: "vit_tiny_patch16_224", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 16,
		Parameters: 5717416, Hub: "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", Classifier: []string{"head.weight", "head.bias"},
		Description: "Vision Transformer, tiny (Dosovitskiy et al., 2020; Touvron et al., 2020): 12 blocks of width 192 over 16 px patches",
		License:     "apache-2.0", Mean: half, Std: half, Interpolation: "bicubic", CropPct: 0.9,
	},
	forward: vit{patch: 16, width: 192, heads: 3, depth: 12}.forward,
}

var vitSmall = Model{
	Info: Info{
		Name: "vit_small_patch16_224", Tasks: classify, DefaultImageSize: 224, MinImageSize: 32, SizeMultiple: 16,
		Parameters: 22050664, Hub: "timm/vit_small_patch16_224.augreg_in21k_ft_in1k", Classifier: []string{"head.weight", "head.bias"},
		Description: "Vision Transformer, small (Dosovitskiy et al., 2020; Touvron et al., 2020): 12 blocks of width 384 over 16 px patches",
		License:     "apache-2.0", Mean: half, Std: half, Interpolation: "bicubic", CropPct: 0.9,
	},
	forward: vit{patch: 16, width: 384, heads: 6, depth: 12}.forward,
}

// vit is the shape of a Vision Transformer.
type vit struct{ patch, width, heads, depth int }

const vitEps = 1e-6

func (v vit) forward(n *nn.Net, images graph.Value, classes int) graph.Value {
	g := n.G
	x := v.embed(n, images)
	for i := range v.depth {
		name := fmt.Sprintf("blocks.%d", i)
		x = g.Add(x, v.attention(n, name+".attn", n.LayerNorm(name+".norm1", x, vitEps)))
		y := n.LayerNorm(name+".norm2", x, vitEps)
		y = g.Gelu(vitLinear(n, name+".mlp.fc1", y, 4*v.width))
		x = g.Add(x, vitLinear(n, name+".mlp.fc2", y, v.width))
	}
	// Only the class token is read, and the norm is per token.
	x = g.Reshape(g.Slice(x, 1, 0, 1), g.Dim(images, 0), v.width)
	return vitLinear(n, "head", n.LayerNorm("norm", x, vitEps), classes)
}

// embed cuts images into patches, projects each, puts the class token first
// and adds the position embedding: [N, 1+patches, width].
func (v vit) embed(n *nn.Net, images graph.Value) graph.Value {
	g := n.G
	batch, side := g.Dim(images, 0), g.Dim(images, 2)/v.patch
	tokens, area := side*side, 3*v.patch*v.patch
	cls := n.Param("cls_token", nn.Normal(1e-6), 1, 1, v.width)
	pos := n.Param("pos_embed", vitInit, 1, 1+tokens, v.width)
	w := n.Param("patch_embed.proj.weight", nn.TorchDefault(area), v.width, 3, v.patch, v.patch)
	b := n.Param("patch_embed.proj.bias", nn.TorchDefault(area), v.width)

	// A convolution whose stride is its kernel is one matrix product.
	x := g.Reshape(images, batch, 3, side, v.patch, side, v.patch)
	x = g.Reshape(g.Transpose(x, 0, 2, 4, 1, 3, 5), batch, tokens, area)
	x = g.Linear(x, g.Reshape(w, v.width, area), b)
	x = g.Concat(1, g.Expand(cls, batch, 1, v.width), x)
	return g.Add(x, pos)
}

func (v vit) attention(n *nn.Net, name string, x graph.Value) graph.Value {
	g := n.G
	batch, tokens, size := g.Dim(x, 0), g.Dim(x, 1), v.width/v.heads
	qkv := vitLinear(n, name+".qkv", x, 3*v.width)
	qkv = g.Transpose(g.Reshape(qkv, batch, tokens, 3, v.heads, size), 2, 0, 3, 1, 4)
	parts := g.Split(qkv, 0, 3)
	if len(parts) != 3 {
		return graph.None // an error is recorded
	}
	perHead := func(i int) graph.Value { return g.Reshape(parts[i], batch, v.heads, tokens, size) }
	q := g.Scale(perHead(0), float32(1/math.Sqrt(float64(size))))
	scores := g.Softmax(g.MatMul(q, perHead(1), false, true), -1)
	y := g.Transpose(g.MatMul(scores, perHead(2), false, false), 0, 2, 1, 3)
	return vitLinear(n, name+".proj", g.Reshape(y, batch, tokens, v.width), v.width)
}

var vitInit = nn.TruncNormal(0.02, -2, 2)

func vitLinear(n *nn.Net, name string, x graph.Value, out int) graph.Value {
	return n.Linear(name, x, out, vitInit, nn.Constant(0))
}
