package cli

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/datasets/remote"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
	"github.com/trainwright/trainwright/web/submit"
)

// newHost makes what runs steps of other machines on this one, until ctx ends.
// They share its slots with what it is handed itself.
func (a *app) newHost(ctx context.Context, store runner.Store, place storePlace, policy submit.Policy, buckets []string, log *slog.Logger) *host.Host {
	cache := filepath.Join(place.dir, "cache", "datasets.gob")
	if dir, err := userCache(); err == nil {
		cache = filepath.Join(dir, "datasets.gob")
	}
	data := taskData{Catalog: &datasets.Catalog{CacheFile: cache}, dir: filepath.Join(filepath.Dir(cache), "datasets"), open: func(ctx context.Context, bucket string) (remote.Source, error) {
		if !slices.Contains(buckets, bucket) {
			return nil, pipelines.Errorf(pipelines.CodeInvalid, "this server reads nothing in the bucket %.100q for others; its operator allows buckets with --allow-bucket", bucket)
		}
		return a.openDataBucket(ctx, bucket)
	}}
	find := func(path string) (string, error) {
		if strings.Contains(path, "://") {
			return path, nil // Open decides
		}
		return policy.Place(path)
	}
	room := a.watcher(store, place)
	room.GPUs, room.HostGPUs = countGPUs(), hostGPUs()
	return host.New(ctx, host.Config{
		Dir: servedDir(place.dir), Executor: &local.Executor{Environ: workEnviron(a.Env)}, Adapters: a.Adapters, Datasets: data,
		Place: find, Root: policy.DataRoot, Env: policy.Env, Slot: room.Slot, Log: log,
	})
}

// taskData is what the steps of other machines may read. What a bucket holds is
// asked each time: a server lives long.
type taskData struct {
	*datasets.Catalog
	dir  string
	open func(ctx context.Context, bucket string) (remote.Source, error)
}

// Localize implements runner.Datasets.
func (d taskData) Localize(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error) {
	return (&data{Catalog: d.Catalog, cache: remote.Cache{Dir: d.dir, Open: d.open}}).Localize(ctx, spec)
}

// servedDir is where the files of other machines' steps are, in the state's folder.
func servedDir(stateDir string) string { return filepath.Join(stateDir, "remote") }
