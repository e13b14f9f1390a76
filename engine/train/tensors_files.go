package train

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"github.com/trainwright/trainwright/engine/optim"
	"github.com/trainwright/trainwright/engine/weights"
)

// hasEMA reports whether a moving average of the tensor is kept.
func (t *tensors) hasEMA(name string) bool { return t.pairs[optim.EMAName(name)] != nil }

// files encodes the current tensors; model lists the names of the model's own.
func (t *tensors) files(model []string) (deployed, rest *weights.File, err error) {
	deployed = &weights.File{Tensors: map[string]weights.Tensor{}, Metadata: map[string]string{"format": "pt"}}
	rest = &weights.File{Tensors: map[string]weights.Tensor{}}
	own := map[string]bool{}
	put := func(f *weights.File, name, from string) {
		if err == nil {
			f.Tensors[name], err = t.encode(from)
		}
	}
	for _, name := range model {
		own[name] = true
		from := name
		if t.hasEMA(name) {
			from = optim.EMAName(name)
			put(rest, name, name)
		}
		put(deployed, name, from)
	}
	for _, name := range t.names {
		if base, ok := strings.CutPrefix(name, optim.EMAName("")); !own[name] && !(ok && own[base]) {
			put(rest, name, name)
		}
	}
	return deployed, rest, err
}

// encode shares the tensor's memory on the host.
func (t *tensors) encode(name string) (weights.Tensor, error) {
	values, err := t.read(name)
	if err != nil {
		return weights.Tensor{}, err
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
	return weights.Tensor{DType: weights.F32, Shape: t.pairs[name].shape, Data: bytes}, nil
}

// load fills all tensors from a checkpoint's two files and returns what the
// files did not have: state of a new optimizer or average, which starts anew.
func (t *tensors) load(model []string, deployed, rest *weights.File) (missing []string, err error) {
	own := map[string]bool{}
	for _, name := range model {
		own[name] = true
		from := deployed
		if _, ok := rest.Tensors[name]; ok { // the raw weights, where deployed has averages
			from = rest
		}
		if err := t.fill(name, from, name); err != nil {
			return nil, err
		}
	}
	for _, name := range t.names {
		base, isEMA := strings.CutPrefix(name, optim.EMAName(""))
		switch {
		case own[name]:
		case isEMA && rest.Tensors[base].Data != nil:
			if err := t.fill(name, deployed, base); err != nil {
				return nil, err
			}
		case rest.Tensors[name].Data != nil:
			if err := t.fill(name, rest, name); err != nil {
				return nil, err
			}
		default:
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// fill sets a tensor from an entry of a file.
func (t *tensors) fill(name string, f *weights.File, entry string) error {
	p, ok := t.pairs[name]
	if !ok {
		return fmt.Errorf("the training has no tensor %s", name)
	}
	src, ok := f.Tensors[entry]
	if !ok {
		return fmt.Errorf("the checkpoint has no tensor %s", entry)
	}
	if !slices.Equal(src.Shape, p.shape) {
		return fmt.Errorf("tensor %s has shape %v in the checkpoint, %v in the model", entry, src.Shape, p.shape)
	}
	values, err := src.Float32s()
	if err != nil {
		return fmt.Errorf("tensor %s: %w", entry, err)
	}
	return t.write(name, values)
}

// setAll sets tensors by name.
func (t *tensors) setAll(values map[string][]float32) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := t.write(name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// startEMA sets every moving average to what it averages.
func (t *tensors) startEMA() error {
	for _, name := range t.names {
		if !t.hasEMA(name) {
			continue
		}
		values, err := t.read(name)
		if err != nil {
			return err
		}
		if err := t.write(optim.EMAName(name), values); err != nil {
			return err
		}
	}
	return nil
}

// zero clears tensors whose name begins with prefix.
func (t *tensors) zero(prefix string) error {
	for _, name := range t.names {
		if strings.HasPrefix(name, prefix) {
			if err := t.write(name, make([]float32, elems(t.pairs[name].shape))); err != nil {
				return err
			}
		}
	}
	return nil
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func encodeWeights(f *weights.File) func(io.Writer) error {
	return func(w io.Writer) error { return weights.Encode(w, f) }
}
