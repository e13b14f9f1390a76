package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/trainwright/trainwright/engine/ort"
)

// memory is where parameters and states live: on the host, or on a device,
// whose memory is reached through copies.
type memory struct {
	rt *ort.Runtime
	// What a device needs; nil on the host.
	session *ort.Session // whose provider allocates
	info    *ort.MemoryInfo
	pinned  *ort.MemoryInfo // host memory that the device reads directly; nil where there is none
	options ort.Options
	copier  *ort.Copier
}

// newMemory returns the memory of a device. session, which must outlive it, runs there.
func newMemory(rt *ort.Runtime, d device, session *ort.Session) (memory, error) {
	m := memory{rt: rt}
	if !d.staged {
		return m, nil
	}
	var err error
	if d.options.CUDA == nil {
		m.info, err = rt.NewCPUMemory()
	} else {
		m.info, err = rt.NewCUDAMemory(d.id)
	}
	if err != nil {
		return memory{}, err
	}
	if d.options.CUDA != nil {
		if m.pinned, err = rt.NewPinnedMemory(d.id); err != nil {
			m.info.Close()
			return memory{}, err
		}
	}
	m.session, m.options, m.copier = session, d.options, rt.NewCopier(d.options)
	return m, nil
}

// newCopier makes another copier between host and device; nil on the host.
func (m memory) newCopier() *ort.Copier {
	if m.session == nil {
		return nil
	}
	return m.rt.NewCopier(m.options)
}

// readable makes a host tensor that the device reads as fast as it can. Memory
// that cannot be pinned is slower, not wrong.
func (m memory) readable(dtype ort.DType, shape ...int) (*ort.Tensor, error) {
	if m.pinned != nil {
		if x, err := m.session.NewTensorIn(m.pinned, dtype, shape...); err == nil {
			return x, nil
		}
	}
	return m.rt.NewTensor(dtype, shape...)
}

// zeros makes a float32 tensor of zeros.
func (m memory) zeros(shape []int) (*ort.Tensor, error) {
	if m.session == nil {
		return m.rt.NewTensor(ort.Float32, shape...)
	}
	x, err := m.session.NewTensorIn(m.info, ort.Float32, shape...)
	if err != nil {
		return nil, err
	}
	if err := m.write(x, make([]float32, x.Size()/ort.Float32.Size())); err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

// read returns a tensor's elements, in its own memory on the host.
func (m memory) read(x *ort.Tensor) ([]float32, error) {
	if m.session == nil {
		return ort.View[float32](x)
	}
	host, err := m.rt.NewTensor(ort.Float32, x.Shape()...)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	if err := m.copier.Copy(context.Background(), host, x); err != nil {
		return nil, err
	}
	v, err := ort.View[float32](host)
	return slices.Clone(v), err
}

// write sets a tensor's elements.
func (m memory) write(x *ort.Tensor, values []float32) error {
	if want := x.Size() / ort.Float32.Size(); len(values) != want {
		return fmt.Errorf("%d values for a tensor of %d", len(values), want)
	}
	if m.session == nil {
		return set(x, values)
	}
	host, err := ort.FromSlice(m.rt, ort.Float32, values, x.Shape()...)
	if err != nil {
		return err
	}
	defer host.Close()
	return m.copier.Copy(context.Background(), x, host)
}

func (m memory) close() {
	if m.copier != nil {
		m.copier.Close()
	}
	m.info.Close()
	m.pinned.Close()
}
