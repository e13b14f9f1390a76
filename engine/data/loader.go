package data

import (
	"runtime"

	"github.com/trainwright/trainwright/engine/image"
	"github.com/trainwright/trainwright/engine/rng"
)

// Loader yields the batches of a Config, epoch by epoch.
type Loader struct {
	cfg     Config // Workers and Prefetch resolved
	augment []operation
	cache   *cache
}

// New checks cfg and builds a loader. Files are opened only by Epoch.
func New(cfg Config) (*Loader, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Prefetch == 0 {
		cfg.Prefetch = 2
	}
	return &Loader{
		cfg:     cfg,
		augment: operations(cfg.Augment),
		cache:   newCache(len(cfg.Samples), cfg.Transform.Bytes(), cfg.CacheBytes),
	}, nil
}

// Len is the number of samples.
func (l *Loader) Len() int { return len(l.cfg.Samples) }

// Used is the number of samples that an epoch uses: Len, less what DropLast drops.
func (l *Loader) Used() int {
	if l.cfg.DropLast {
		return l.Len() / l.cfg.BatchSize * l.cfg.BatchSize
	}
	return l.Len()
}

// Batches is the number of batches of a whole epoch.
func (l *Loader) Batches() int { return (l.Used() + l.cfg.BatchSize - 1) / l.cfg.BatchSize }

// Order is the order of an epoch: indices into Config.Samples.
func (l *Loader) Order(epoch int) []int {
	if l.cfg.Shuffle {
		return rng.New(l.cfg.Seed, "shuffle", uint64(epoch)).Perm(l.Len())
	}
	order := make([]int, l.Len())
	for i := range order {
		order[i] = i
	}
	return order
}

// Applied is what a loader really does, read back from what New built.
type Applied struct {
	Samples   int        `json:"samples"`
	Batches   int        `json:"batches"` // of an epoch
	BatchSize int        `json:"batch_size"`
	DropLast  bool       `json:"drop_last"`
	Shuffle   bool       `json:"shuffle"`
	Seed      uint64     `json:"seed"`
	Workers   int        `json:"workers"`
	Prefetch  int        `json:"prefetch"`
	Cached    int        `json:"cached"` // samples kept in memory after their first use
	Transform image.Eval `json:"transform"`
	Augment   Augment    `json:"augment"` // reported by the operations themselves
}

// Applied reports what the loader does.
func (l *Loader) Applied() Applied {
	a := Applied{
		Samples: l.Len(), Batches: l.Batches(), BatchSize: l.cfg.BatchSize,
		DropLast: l.cfg.DropLast, Shuffle: l.cfg.Shuffle, Seed: l.cfg.Seed,
		Workers: l.cfg.Workers, Prefetch: l.cfg.Prefetch,
		Cached: l.cache.capacity(), Transform: l.cfg.Transform,
	}
	for _, op := range l.augment {
		op.describe(&a.Augment)
	}
	return a
}

// load writes sample i of an epoch into dst. tmp has dst's length.
func (l *Loader) load(dst, tmp []byte, epoch, i int) error {
	if !l.cache.get(i, dst) {
		m, err := image.ReadFile(l.cfg.Samples[i].Path)
		if err != nil {
			return &SampleError{Path: l.cfg.Samples[i].Path, Index: i, Err: err}
		}
		l.cfg.Transform.Apply(dst, m)
		l.cache.put(i, dst)
	}
	if len(l.augment) > 0 {
		d := newDraws(l.cfg.Seed, epoch, i)
		for _, op := range l.augment {
			op.apply(dst, tmp, l.cfg.Transform.Size, &d)
		}
	}
	return nil
}
