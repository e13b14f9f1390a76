package nn

import "github.com/trainwright/trainwright/engine/graph"

// Normalize turns uint8 images [N, H, W, 3] into what models take: float32
// [N, 3, H, W], (x/255 - mean)/std per channel.
func Normalize(g *graph.Graph, images graph.Value, mean, std [3]float32) graph.Value {
	scale := make([]float32, 3)
	shift := make([]float32, 3)
	for c := range scale {
		scale[c] = float32(1 / (255 * float64(std[c])))
		shift[c] = float32(-float64(mean[c]) / float64(std[c]))
	}
	x := g.Transpose(g.Cast(images, graph.Float32), 0, 3, 1, 2)
	x = g.Mul(x, g.Const(graph.Float32Tensor(scale, 1, 3, 1, 1)))
	return g.Add(x, g.Const(graph.Float32Tensor(shift, 1, 3, 1, 1)))
}
