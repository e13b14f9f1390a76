package train

import (
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/engine/autodiff"
	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/nn"
	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/zoo"
)

// stepKind says what a training graph does with its gradients.
type stepKind string

const (
	stepUpdate     stepKind = "update"     // update the weights with them
	stepAccumulate stepKind = "accumulate" // add them to the window's sums
	stepDrain      stepKind = "drain"      // end the window: add, average, update
)

// step is a training graph and what went into it, noted where it was added.
type step struct {
	graph     *graph.Graph
	model     zoo.Built
	batch     int
	kind      stepKind
	optimizer optim.Config
	clip      float64
	smoothing float64
	ema       float64
	precision lower.Precision // of convolutions and matrix products
}

// Names of the graphs' inputs and outputs beside those of the optimizer.
const (
	inImages  = "images"
	inLabels  = "labels"
	inSamples = "samples"   // in this batch
	inTotal   = "total"     // in the accumulation window
	inDecay   = "ema_decay" // see optim.EMADecay
	inScale   = "loss_scale"
	outSquare = "gradient_square" // of all gradients together; not finite if one of them is not
	outLoss   = "loss"
	outRight  = "correct"
	outLogits = "logits"
	outLosses = "losses"
)

// buildStep makes the graph of one training step on batch images. With mixed it
// is for a device that is faster in half precision.
func buildStep(c Config, kind stepKind, batch int, mixed bool) (*step, error) {
	g := graph.New("train_" + string(kind))
	s := &step{graph: g, batch: batch, kind: kind, precision: lower.Float32}
	x, labels, err := inputs(g, c.Model, batch)
	if err != nil {
		return nil, err
	}
	s.model, err = zoo.Build(g, c.Model.Name, x, zoo.Options{NumClasses: len(c.Model.Classes), Training: true, Freeze: c.Model.Freeze})
	if err != nil {
		return nil, fmt.Errorf("compile a training step on %d images: %w", batch, err)
	}
	if mixed {
		s.precision = halfOf(g)
	}
	loss := nn.CrossEntropy(g, s.model.Logits, labels, c.LabelSmoothing)
	s.smoothing = c.LabelSmoothing
	g.Output(outLoss, loss)
	right := g.Cast(g.Equal(g.ArgMax(s.model.Logits, -1), labels), graph.Float32)
	g.Output(outRight, g.ReduceSum(right, false))
	params := g.Trainable()
	values := make([]graph.Value, len(params))
	for i, p := range params {
		values[i] = p.Value
	}
	grads, err := s.gradients(loss, values)
	if err != nil {
		return nil, err
	}
	if err := s.use(c, params, grads); err != nil {
		return nil, err
	}
	return s, g.Err()
}

// halfOf is the half precision for a model: bfloat16, which has the range of
// float32, but for convolutions, which only float16 has.
func halfOf(g *graph.Graph) lower.Precision {
	if slices.ContainsFunc(g.Nodes(), func(n graph.Node) bool { return n.Op == "Conv" }) {
		return lower.Float16
	}
	return lower.BFloat16
}

// gradients of a loss. In float16 small ones would vanish, so they are computed
// of the scaled loss, and their squares tell whether the scale was too large.
func (s *step) gradients(loss graph.Value, values []graph.Value) ([]graph.Value, error) {
	g := s.graph
	if s.precision != lower.Float16 {
		return autodiff.Gradients(g, loss, values)
	}
	scale := g.Input(inScale, graph.Float32)
	grads, err := autodiff.Gradients(g, g.Mul(loss, scale), values)
	if err != nil {
		return nil, err
	}
	inverse, square := g.Div(g.ConstF(1), scale), g.ConstF(0)
	for i := range grads {
		grads[i] = g.Mul(grads[i], inverse)
		square = g.Add(square, g.ReduceSum(g.Square(grads[i]), false))
	}
	g.Output(outSquare, square)
	return grads, g.Err()
}

// use adds what happens to the gradients.
func (s *step) use(c Config, params []graph.Named, grads []graph.Value) error {
	g := s.graph
	if s.kind != stepUpdate {
		samples := g.Input(inSamples, graph.Float32)
		if s.kind == stepAccumulate {
			optim.Accumulate(g, params, grads, samples)
			return nil
		}
		grads = optim.Drain(g, params, grads, samples, g.Input(inTotal, graph.Float32))
	}
	if c.ClipNorm > 0 {
		grads, _ = optim.Clip(g, grads, c.ClipNorm)
		s.clip = c.ClipNorm
	}
	next, err := optim.Update(g, c.Optimizer, params, grads)
	if err != nil {
		return err
	}
	s.optimizer = c.Optimizer
	if c.EMADecay > 0 {
		tensors, next := s.averaged(params, next)
		optim.EMA(g, g.Input(inDecay, graph.Float32), tensors, next)
		s.ema = c.EMADecay
	}
	return nil
}

// averaged lists what the moving average follows: trained parameters and
// running statistics, with their next values.
func (s *step) averaged(params []graph.Named, next []graph.Value) ([]graph.Named, []graph.Value) {
	assigned := map[string]graph.Value{}
	for _, a := range s.graph.Assigns() {
		assigned[a.Name] = a.Value
	}
	buffer := map[string]bool{}
	for _, i := range s.model.Init {
		buffer[i.Name] = i.Buffer
	}
	for _, st := range s.graph.States() {
		if v, ok := assigned[st.Name]; ok && buffer[st.Name] {
			params, next = append(params, st), append(next, v)
		}
	}
	return params, next
}

// buildEval makes the graph that scores batch images: logits and the loss of each.
func buildEval(m Model, batch int) (*graph.Graph, error) {
	g := graph.New("evaluate")
	x, labels, err := inputs(g, m, batch)
	if err != nil {
		return nil, err
	}
	built, err := zoo.Build(g, m.Name, x, zoo.Options{NumClasses: len(m.Classes)})
	if err != nil {
		return nil, fmt.Errorf("compile the evaluation of %d images: %w", batch, err)
	}
	g.Output(outLogits, built.Logits)
	g.Output(outLosses, g.SoftmaxCrossEntropy(built.Logits, labels, graph.CrossEntropyAttrs{}))
	return g, g.Err()
}

// inputs declares the batch and returns normalised images [N, 3, S, S] and labels [N].
func inputs(g *graph.Graph, m Model, batch int) (images, labels graph.Value, err error) {
	info, err := zoo.Lookup(m.Name)
	if err != nil {
		return graph.None, graph.None, err
	}
	pixels := g.Input(inImages, graph.Uint8, batch, m.ImageSize, m.ImageSize, 3)
	labels = g.Input(inLabels, graph.Int64, batch)
	return nn.Normalize(g, pixels, info.Mean, info.Std), labels, g.Err()
}

// hasBatchNorm reports whether the model keeps running statistics.
func (s *step) hasBatchNorm() bool {
	for _, i := range s.model.Init {
		if i.Buffer {
			return true
		}
	}
	return false
}
