package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/image"
	"github.com/trainwright/trainwright/engine/onnx"
	"github.com/trainwright/trainwright/engine/ort"
	"github.com/trainwright/trainwright/engine/weights"
)

// classifier is a deployed model, loaded.
type classifier struct {
	info    ModelInfo
	session *ort.Session
	binding *ort.Binding
	input   *ort.Tensor
	output  *ort.Tensor
	batch   int
	staged  bool // the input is copied to a device when it is bound
	scale   [3]float32
	shift   [3]float32
}

// openClassifier loads the model at path: an ONNX file, or a checkpoint.
func openClassifier(path string, batch int, o ModelOptions) (*classifier, error) {
	bytes, err := modelBytes(path)
	if err != nil {
		return nil, err
	}
	model, err := onnx.Unmarshal(bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &classifier{batch: batch}
	if c.info, err = readInfo(model); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rt, err := openRuntime(o.Library)
	if err != nil {
		return nil, err
	}
	d, err := newDevice(rt, o.Device, o.Threads)
	if err != nil {
		return nil, err
	}
	for i := range 3 {
		c.scale[i] = float32(1 / (255 * float64(c.info.Std[i])))
		c.shift[i] = float32(-float64(c.info.Mean[i]) / float64(c.info.Std[i]))
	}
	if err := c.prepare(rt, bytes, d); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *classifier) prepare(rt *ort.Runtime, model []byte, d device) (err error) {
	c.staged = d.staged
	if c.session, err = rt.NewSession(model, d.options); err != nil {
		return fallbackAdvice(err)
	}
	if c.input, err = rt.NewTensor(ort.Float32, c.batch, 3, c.info.ImageSize, c.info.ImageSize); err != nil {
		return err
	}
	if c.output, err = rt.NewTensor(ort.Float32, c.batch, len(c.info.Classes)); err != nil {
		return err
	}
	if c.binding, err = c.session.NewBinding(); err != nil {
		return err
	}
	if err = c.binding.Input(DeployedInput, c.input); err != nil {
		return err
	}
	return c.binding.Output(DeployedOutput, c.output)
}

// transform is how pictures become input.
func (c *classifier) transform() image.Eval {
	return image.Eval{Size: c.info.ImageSize, CropPct: c.info.CropPct, Filter: image.Filter(c.info.Interpolation)}
}

// logits scores a batch of pictures, uint8 [n, S, S, 3]. The slice is valid
// until the next call.
func (c *classifier) logits(ctx context.Context, pictures []byte) ([]float32, error) {
	x, err := ort.View[float32](c.input)
	if err != nil {
		return nil, err
	}
	plane := c.info.ImageSize * c.info.ImageSize
	n := len(pictures) / (3 * plane)
	for i := range n {
		for ch := range 3 {
			from, to := pictures[3*plane*i+ch:], x[plane*(3*i+ch):plane*(3*i+ch+1)]
			scale, shift := c.scale[ch], c.shift[ch]
			for j := range to {
				to[j] = float32(from[3*j])*scale + shift
			}
		}
	}
	if c.staged {
		if err := c.binding.Input(DeployedInput, c.input); err != nil {
			return nil, err
		}
	}
	if err := c.binding.Run(ctx); err != nil {
		return nil, err
	}
	y, err := ort.View[float32](c.output)
	if err != nil {
		return nil, err
	}
	return y[:n*len(c.info.Classes)], nil
}

// loader loads samples for this model.
func (c *classifier) loader(samples []data.Sample, workers int) (*data.Loader, error) {
	return data.New(data.Config{Samples: samples, Transform: c.transform(), BatchSize: c.batch, Workers: workers})
}

func (c *classifier) close() {
	c.binding.Close()
	c.input.Close()
	c.output.Close()
	c.session.Close()
}

// modelBytes returns the ONNX model of a file, or of a checkpoint, which is
// made from its weights where it holds none.
func modelBytes(path string) ([]byte, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	if !stat.IsDir() {
		return os.ReadFile(path)
	}
	if bytes, err := os.ReadFile(filepath.Join(path, ModelFile)); err == nil {
		return bytes, nil
	}
	s, err := ReadState(path)
	if err != nil {
		return nil, err
	}
	f, err := weights.Open(filepath.Join(path, WeightsFile))
	if err != nil {
		return nil, err
	}
	model, err := deployable(s.Model, f)
	if err != nil {
		return nil, err
	}
	return onnx.Marshal(model)
}
