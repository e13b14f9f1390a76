package train

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/trainwright/trainwright/engine/graph"
	"github.com/trainwright/trainwright/engine/lower"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/weights"
	"github.com/trainwright/trainwright/engine/zoo"
)

// Names of a deployed model's one input and one output.
const (
	DeployedInput  = "input"  // float32 [N, 3, S, S], RGB, normalised
	DeployedOutput = "logits" // float32 [N, classes]
)

// Graphs have static shapes. A deployed model takes any batch: it is built
// for two sizes, and what differs between them is the batch. Both are primes,
// so that no other size is a multiple of them by chance.
const (
	batchA = 1009
	batchB = 2003
)

// deployable makes the ONNX model that is deployed: weights inside, any batch
// size, standard operators, class names and preprocessing in its metadata.
func deployable(m SavedModel, f *weights.File) (*onnx.ModelProto, error) {
	a, err := inferenceModel(m, batchA)
	if err != nil {
		return nil, err
	}
	b, err := inferenceModel(m, batchB)
	if err != nil {
		return nil, err
	}
	if err := freeBatch(a.Graph, b.Graph); err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	if err := embed(a.Graph, f); err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return a, describe(a, m)
}

// inferenceModel lowers the model for a batch of normalised images.
func inferenceModel(m SavedModel, batch int) (*onnx.ModelProto, error) {
	g := graph.New(m.Name)
	x := g.Input(DeployedInput, graph.Float32, batch, 3, m.ImageSize, m.ImageSize)
	built, err := zoo.Build(g, m.Name, x, zoo.Options{NumClasses: len(m.Classes)})
	if err != nil {
		return nil, err
	}
	g.Output(DeployedOutput, built.Logits)
	if err := g.Err(); err != nil {
		return nil, err
	}
	return lower.Model(g, lower.CPU, lower.Options{StandardOps: true})
}

// freeBatch replaces the batch size in a by the size of the input at run time.
// b is the same graph built for another batch.
func freeBatch(a, b *onnx.GraphProto) error {
	if len(a.Node) != len(b.Node) || len(a.Initializer) != len(b.Initializer) {
		return fmt.Errorf("its graph depends on the batch size")
	}
	for i, n := range a.Node {
		if !proto.Equal(n, b.Node[i]) {
			return fmt.Errorf("its node %s depends on the batch size", n.GetName())
		}
	}
	for _, v := range slices.Concat(a.Input, a.Output) {
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			if d.GetDimValue() == batchA {
				d.Value = &onnx.TensorShapeProto_Dimension_DimParam{DimParam: "N"}
			}
		}
	}
	var kept []*onnx.TensorProto
	var made []*onnx.NodeProto
	for i, t := range a.Initializer {
		if bytes.Equal(t.RawData, b.Initializer[i].RawData) {
			kept = append(kept, t)
			continue
		}
		nodes, inits, err := shapeAtRunTime(t, b.Initializer[i])
		if err != nil {
			return err
		}
		if len(made) == 0 {
			nodes, inits, err = withBatch(nodes, inits)
			if err != nil {
				return err
			}
		}
		made, kept = append(made, nodes...), append(kept, inits...)
	}
	a.Initializer, a.Node = kept, append(made, a.Node...)
	return nil
}

const runTimeBatch = "batch" // int64 [1], the batch size at run time

// withBatch puts the nodes that compute runTimeBatch in front.
func withBatch(nodes []*onnx.NodeProto, inits []*onnx.TensorProto) ([]*onnx.NodeProto, []*onnx.TensorProto, error) {
	shape, err := onnx.NewNode(onnx.Standard, "Shape", []string{DeployedInput}, []string{runTimeBatch},
		onnx.Attr{Name: "start", Value: int64(0)}, onnx.Attr{Name: "end", Value: int64(1)})
	return append([]*onnx.NodeProto{shape}, nodes...), inits, err
}

// shapeAtRunTime computes the int64 vector t, whose elements that are k times
// batchA become k times the batch.
func shapeAtRunTime(t, other *onnx.TensorProto) ([]*onnx.NodeProto, []*onnx.TensorProto, error) {
	x, y := int64s(t.RawData), int64s(other.RawData)
	if t.GetDataType() != int32(onnx.TensorProto_INT64) || len(t.Dims) != 1 || len(x) != len(y) {
		return nil, nil, fmt.Errorf("its constant %s depends on the batch size", t.GetName())
	}
	var nodes []*onnx.NodeProto
	var inits []*onnx.TensorProto
	var parts []string
	for i := range x {
		name := fmt.Sprintf("%s/%d", t.GetName(), i)
		value, k := x[i], x[i]/batchA
		if x[i] != y[i] {
			if x[i] != k*batchA || y[i] != k*batchB {
				return nil, nil, fmt.Errorf("its constant %s depends on the batch size", t.GetName())
			}
			if k == 1 {
				parts = append(parts, runTimeBatch)
				continue
			}
			n, err := onnx.NewNode(onnx.Standard, "Mul", []string{runTimeBatch, name}, []string{name + "/batch"})
			if err != nil {
				return nil, nil, err
			}
			nodes, value = append(nodes, n), k
			parts = append(parts, name+"/batch")
		} else {
			parts = append(parts, name)
		}
		inits = append(inits, onnx.NewTensor(name, onnx.TensorProto_INT64, []int{1}, binary.LittleEndian.AppendUint64(nil, uint64(value))))
	}
	n, err := onnx.NewNode(onnx.Standard, "Concat", parts, []string{t.GetName()}, onnx.Attr{Name: "axis", Value: int64(0)})
	return append(nodes, n), inits, err
}

func int64s(raw []byte) []int64 {
	out := make([]int64, len(raw)/8)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return out
}

// embed turns the inputs that are weights into initializers.
func embed(g *onnx.GraphProto, f *weights.File) error {
	inputs := g.Input
	g.Input = nil
	for _, v := range inputs {
		if v.GetName() == DeployedInput {
			g.Input = append(g.Input, v)
			continue
		}
		t, ok := f.Tensors[v.GetName()]
		if !ok {
			return fmt.Errorf("the weights lack %s", v.GetName())
		}
		if t.DType != weights.F32 {
			return fmt.Errorf("tensor %s is %s, want %s", v.GetName(), t.DType, weights.F32)
		}
		g.Initializer = append(g.Initializer, onnx.NewTensor(v.GetName(), onnx.TensorProto_FLOAT, t.Shape, t.Data))
	}
	return nil
}

// ModelInfo is what a deployed model says of itself in its metadata.
type ModelInfo struct {
	Name          string
	Task          string // image_classification
	Classes       []string
	ImageSize     int // pixels, square
	Mean, Std     [3]float32
	CropPct       float64 // the shorter side is resized to ImageSize/CropPct, then the centre is cut out
	Interpolation string  // bilinear | bicubic, antialiased
}

// Keys of a deployed model's metadata.
const (
	keyModel, keyTask, keyClasses  = "model", "task", "classes"
	keySize, keyMean, keyStd       = "image_size", "mean", "std"
	keyCrop, keyResize, keyProduct = "crop_pct", "interpolation", "input"
)

// describe writes the metadata.
func describe(p *onnx.ModelProto, m SavedModel) error {
	info, err := zoo.Lookup(m.Name)
	if err != nil {
		return err
	}
	for key, value := range map[string]any{keyClasses: m.Classes, keyMean: info.Mean, keyStd: info.Std} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		p.SetMetadata(key, string(text))
	}
	p.SetMetadata(keyModel, m.Name)
	p.SetMetadata(keyTask, "image_classification")
	p.SetMetadata(keySize, strconv.Itoa(m.ImageSize))
	p.SetMetadata(keyCrop, strconv.FormatFloat(info.CropPct, 'g', -1, 64))
	p.SetMetadata(keyResize, info.Interpolation)
	p.SetMetadata(keyProduct, "float32 NCHW RGB, (pixel/255 - mean)/std")
	slices.SortFunc(p.MetadataProps, func(a, b *onnx.StringStringEntryProto) int {
		return bytes.Compare([]byte(a.GetKey()), []byte(b.GetKey()))
	})
	return nil
}

// readInfo reads the metadata of a deployed model.
func readInfo(p *onnx.ModelProto) (ModelInfo, error) {
	meta := p.Metadata()
	info := ModelInfo{Name: meta[keyModel], Task: meta[keyTask], Interpolation: meta[keyResize]}
	for key, into := range map[string]any{
		keyClasses: &info.Classes, keyMean: &info.Mean, keyStd: &info.Std, keySize: &info.ImageSize, keyCrop: &info.CropPct,
	} {
		if err := json.Unmarshal([]byte(meta[key]), into); err != nil {
			return info, fmt.Errorf("the model's metadata has no usable %q: it was not exported by this engine", key)
		}
	}
	return info, nil
}
