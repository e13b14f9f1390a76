package data

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
)

// Epoch yields the batches of an epoch from the given sample position on (0 =
// its beginning; elsewhere a Batch.Position of the same epoch). A file that
// cannot be read ends it with a *SampleError, the end of ctx with its error.
// Leaving the loop stops the workers.
func (l *Loader) Epoch(ctx context.Context, epoch, position int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		used := l.Used()
		if position < 0 || position > used {
			yield(nil, fmt.Errorf("data: position %d is outside 0..%d, the samples of an epoch", position, used))
			return
		}
		order := l.Order(epoch)[:used]
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()

		slots := l.cfg.Prefetch + 1
		free, ordered := make(chan *slot, slots), make(chan *slot, slots)
		for range slots {
			free <- l.newSlot()
		}
		jobs := make(chan job, slots)
		running.Go(func() { l.fill(ctx, order, position, free, ordered, jobs) })
		for range l.cfg.Workers {
			running.Go(func() { l.work(ctx, epoch, jobs) })
		}
		for s := range ordered {
			select {
			case <-s.done:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
			if s.err != nil {
				yield(nil, s.err)
				return
			}
			if !yield(&s.Batch, nil) {
				return
			}
			free <- s
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// slot is a batch in the making.
type slot struct {
	Batch
	buffer  []byte
	pending atomic.Int32 // jobs to do
	done    chan struct{}

	mu      sync.Mutex
	err     error
	errorAt int // position of err in the batch, so that the first one wins
}

// job is a range of a slot's samples.
type job struct {
	slot     *slot
	from, to int
}

func (l *Loader) newSlot() *slot {
	n := min(l.cfg.BatchSize, l.Len())
	return &slot{
		Batch:  Batch{Labels: make([]int64, 0, n), Indices: make([]int, 0, n)},
		buffer: make([]byte, n*l.cfg.Transform.Bytes()),
		done:   make(chan struct{}, 1),
	}
}

// fill hands out the epoch's batches to the workers, in order.
func (l *Loader) fill(ctx context.Context, order []int, position int, free <-chan *slot, ordered chan<- *slot, jobs chan<- job) {
	defer close(ordered)
	defer close(jobs)
	for position < len(order) {
		var s *slot
		select {
		case s = <-free:
		case <-ctx.Done():
			return
		}
		indices := order[position:min(position+l.cfg.BatchSize, len(order))]
		position += len(indices)
		n := len(indices)
		s.Images = s.buffer[:n*l.cfg.Transform.Bytes()]
		s.Indices = append(s.Indices[:0], indices...)
		s.Labels = s.Labels[:0]
		for _, i := range indices {
			s.Labels = append(s.Labels, int64(l.cfg.Samples[i].Label))
		}
		s.Position = position
		chunk := max(1, min(8, n/(2*l.cfg.Workers)))
		s.pending.Store(int32((n + chunk - 1) / chunk))
		ordered <- s // never blocks: there are as many places as slots
		for from := 0; from < n; from += chunk {
			select {
			case jobs <- job{s, from, min(from+chunk, n)}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// work loads samples until there are no more.
func (l *Loader) work(ctx context.Context, epoch int, jobs <-chan job) {
	size := l.cfg.Transform.Bytes()
	tmp := make([]byte, size)
	for j := range jobs {
		for at := j.from; at < j.to && ctx.Err() == nil; at++ {
			if err := l.load(j.slot.Images[at*size:(at+1)*size], tmp, epoch, j.slot.Indices[at]); err != nil {
				j.slot.fail(at, err)
				break
			}
		}
		if j.slot.pending.Add(-1) == 0 {
			j.slot.done <- struct{}{}
		}
	}
}

func (s *slot) fail(at int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || at < s.errorAt {
		s.err, s.errorAt = err, at
	}
}
