// Package data turns lists of image files into batches for training and
// evaluation: decoded, resized, shuffled, augmented and prefetched. What a
// batch holds depends only on (Config, epoch, position), never on the number
// of workers or on timing, so a resumed epoch goes on bit for bit.
//
//	loader, err := data.New(data.Config{Samples: train, Transform: eval, BatchSize: 64, Shuffle: true, Seed: 7})
//	for batch, err := range loader.Epoch(ctx, epoch, position) { … }
package data

import (
	"errors"
	"fmt"

	"github.com/trainwright/trainwright/engine/image"
)

// DefaultCacheBytes is a sensible Config.CacheBytes: some 170,000 pictures of
// 32 px, or 3,500 of 224 px.
const DefaultCacheBytes = 512 << 20

// Sample is one image file and its label, counted from 0.
type Sample struct {
	Path  string
	Label int
}

// Config says what a Loader yields.
type Config struct {
	Samples   []Sample
	Transform image.Eval // makes every picture Size x Size
	BatchSize int
	DropLast  bool   // drop an epoch's last batch when it is not full
	Shuffle   bool   // a new order each epoch, by Seed; false = as listed
	Seed      uint64 // of shuffling and augmentation
	Augment   Augment

	Workers    int   // goroutines that decode and augment; 0 = one per processor
	Prefetch   int   // batches prepared ahead; 0 = 2
	CacheBytes int64 // memory for transformed pictures, the first ones of Samples; 0 = none
}

// Augment are random changes of training pictures, applied in this order; the
// zero value changes nothing.
type Augment struct {
	RandomCrop  int     `json:"random_crop"`  // zero padding in pixels on each side, then a random crop of the old size
	RandomFlip  bool    `json:"random_flip"`  // left-right with probability 1/2
	Rotation    float64 `json:"rotation"`     // degrees; uniform in [-Rotation, Rotation], bilinear, black outside
	ColorJitter float64 `json:"color_jitter"` // 0..1; brightness, contrast, saturation factors in [1-j, 1+j], in random order
}

// Batch is one batch. Its slices are reused: they are valid until the next
// iteration of Epoch.
type Batch struct {
	Images   []byte  // uint8 [N, Size, Size, 3]
	Labels   []int64 // [N]
	Indices  []int   // [N], into Config.Samples
	Position int     // samples of this epoch seen once the batch is used: where to resume
}

// Len is N, the number of samples.
func (b *Batch) Len() int { return len(b.Labels) }

// SampleError says that a sample's file could not be used.
type SampleError struct {
	Path  string
	Index int // in Config.Samples
	Err   error
}

func (e *SampleError) Error() string {
	return fmt.Sprintf("sample %d: %v", e.Index, e.Err)
}

// Unwrap returns why.
func (e *SampleError) Unwrap() error { return e.Err }

func (c Config) validate() error {
	switch {
	case len(c.Samples) == 0:
		return errors.New("data: no samples")
	case c.BatchSize < 1:
		return fmt.Errorf("data: batch size %d is below 1", c.BatchSize)
	case c.DropLast && len(c.Samples) < c.BatchSize:
		return fmt.Errorf("data: %d samples are less than one batch of %d, and drop_last drops it: lower the batch size or turn drop_last off", len(c.Samples), c.BatchSize)
	case c.Workers < 0 || c.Workers > 1024:
		return fmt.Errorf("data: %d workers, wanted 0 to 1024", c.Workers)
	case c.Prefetch < 0 || c.Prefetch > 1024:
		return fmt.Errorf("data: prefetch of %d batches, wanted 0 to 1024", c.Prefetch)
	}
	if err := c.Transform.Validate(); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := c.Augment.validate(c.Transform.Size); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	for i, s := range c.Samples {
		if s.Label < 0 {
			return fmt.Errorf("data: sample %d (%s) has label %d, wanted 0 or more", i, s.Path, s.Label)
		}
	}
	return nil
}

func (a Augment) validate(size int) error {
	switch {
	case a.RandomCrop < 0 || a.RandomCrop > size:
		return fmt.Errorf("random_crop %d is outside 0..%d (the image size)", a.RandomCrop, size)
	case !(a.Rotation >= 0 && a.Rotation <= 180):
		return fmt.Errorf("rotation %v is outside 0..180 degrees", a.Rotation)
	case !(a.ColorJitter >= 0 && a.ColorJitter <= 1):
		return fmt.Errorf("color_jitter %v is outside 0..1", a.ColorJitter)
	}
	return nil
}
