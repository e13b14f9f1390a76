package runner

import (
	"context"
	"encoding/json"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
)

// inspector inspects each distinct dataset once, however many steps use it.
type inspector struct {
	datasets Datasets
	mu       sync.Mutex
	seen     map[string]*inspection
	order    []*inspection
}

type inspection struct {
	spec   pipelines.DatasetSpec
	local  pipelines.DatasetSpec // with folders of this machine
	once   sync.Once
	report pipelines.DatasetReport
	err    error
}

// inspectAhead inspects the datasets of all specs at once.
func (in *inspector) inspectAhead(ctx context.Context, specs []pipelines.Spec) {
	var g errgroup.Group
	g.SetLimit(4) // an inspection is parallel in itself
	started := map[*inspection]bool{}
	for _, s := range specs {
		if s.Dataset == nil || isUnknownDataset(s) {
			continue
		}
		if i := in.entry(*s.Dataset); !started[i] {
			started[i] = true
			g.Go(func() error { in.run(ctx, i); return nil })
		}
	}
	g.Wait() // errors are kept per dataset, for the step that meets them
}

func (in *inspector) inspect(ctx context.Context, spec pipelines.DatasetSpec) *inspection {
	i := in.entry(spec)
	in.run(ctx, i)
	return i
}

func (in *inspector) run(ctx context.Context, i *inspection) {
	i.once.Do(func() {
		if i.local, i.err = in.datasets.Localize(ctx, i.spec); i.err == nil {
			i.report, i.err = in.datasets.Inspect(ctx, i.local)
		}
	})
}

func (in *inspector) entry(spec pipelines.DatasetSpec) *inspection {
	key, _ := json.Marshal(spec) // plain data
	in.mu.Lock()
	defer in.mu.Unlock()
	if i, ok := in.seen[string(key)]; ok {
		return i
	}
	i := &inspection{spec: spec}
	if in.seen == nil {
		in.seen = map[string]*inspection{}
	}
	in.seen[string(key)] = i
	in.order = append(in.order, i)
	return i
}

// isUnknownDataset reports that the dataset's place waits for results.
func isUnknownDataset(s pipelines.Spec) bool {
	for path := range s.Unknown {
		if path == "dataset" || len(path) > 8 && path[:8] == "dataset." {
			return true
		}
	}
	return false
}
