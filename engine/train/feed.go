package train

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/ort"
)

// feeder brings batches to where graphs read them. It is one batch ahead:
// while a graph runs on one batch the next is copied, into host memory that
// the device reads directly, and from there to the device.
type feeder struct {
	copier *ort.Copier // of its own, since it works beside the graphs; nil on the host
	places map[int][2]*place
}

// place has room for one batch of a certain size.
type place struct {
	number int         // 0 or 1
	batch  data.Batch  // what lies here; without its images
	host   *ort.Tensor // images, where they are written
	images *ort.Tensor // images, where graphs read them: host, or its copy on a device
	labels *ort.Tensor // on the host, since they are few
}

// newFeeder makes places for batches of each of the sizes, of images of size px.
func newFeeder(m memory, size int, batches ...int) (*feeder, error) {
	f := &feeder{places: map[int][2]*place{}, copier: m.newCopier()}
	for _, n := range batches {
		if _, ok := f.places[n]; ok {
			continue
		}
		var pair [2]*place
		for i := range pair {
			p, err := newPlace(m, i, n, size)
			if err != nil {
				f.places[n] = pair
				f.close()
				return nil, err
			}
			pair[i] = p
		}
		f.places[n] = pair
	}
	return f, nil
}

func newPlace(m memory, number, batch, size int) (*place, error) {
	p := &place{number: number}
	var err error
	if p.host, err = m.readable(ort.Uint8, batch, size, size, 3); err == nil {
		p.images = p.host
		if m.session != nil {
			p.images, err = m.session.NewTensorIn(m.info, ort.Uint8, batch, size, size, 3)
		}
	}
	if err == nil {
		p.labels, err = m.rt.NewTensor(ort.Int64, batch)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// put copies a batch to a place, which may be larger.
func (f *feeder) put(ctx context.Context, p *place, b *data.Batch) error {
	p.batch = data.Batch{Labels: slices.Clone(b.Labels), Indices: slices.Clone(b.Indices), Position: b.Position}
	if err := set(p.host, b.Images); err != nil {
		return err
	}
	if err := set(p.labels, b.Labels); err != nil {
		return err
	}
	if p.images == p.host {
		return nil
	}
	return f.copier.Copy(ctx, p.images, p.host)
}

// batches puts the batches of seq, which a graph reads in the given size (0 =
// the batch's own), and yields their places, each valid until the next.
func (f *feeder) batches(ctx context.Context, seq iter.Seq2[*data.Batch, error], size int) iter.Seq2[*place, error] {
	type fed struct {
		place *place
		err   error
	}
	return func(yield func(*place, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		free, ready := make(chan int, 2), make(chan fed)
		free <- 0
		free <- 1
		go func() {
			defer close(ready)
			for b, err := range seq {
				var next fed
				select {
				case <-ctx.Done(): // the reader has left, or learns it from ctx
					return
				case number := <-free:
					next.place, next.err = f.next(ctx, b, err, size, number)
				}
				select {
				case <-ctx.Done():
					return
				case ready <- next:
				}
				if next.err != nil {
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range ready { // until the copying has ended
			}
		}()
		for next := range ready {
			if !yield(next.place, next.err) || next.err != nil {
				return
			}
			free <- next.place.number
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func (f *feeder) next(ctx context.Context, b *data.Batch, err error, size, number int) (*place, error) {
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = b.Len()
	}
	pair, ok := f.places[size]
	if !ok {
		return nil, fmt.Errorf("no graph was compiled for %d images", size)
	}
	return pair[number], f.put(ctx, pair[number], b)
}

func (p *place) close() {
	if p == nil {
		return
	}
	if p.images != p.host {
		p.images.Close()
	}
	p.host.Close()
	p.labels.Close()
}

func (f *feeder) close() {
	if f == nil {
		return
	}
	for _, pair := range f.places {
		pair[0].close()
		pair[1].close()
	}
	if f.copier != nil {
		f.copier.Close()
	}
}
