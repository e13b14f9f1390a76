package cli

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/datasets/remote"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/s3"
)

// data is what the engine room knows of datasets: those here, and those that
// have to be brought here first.
type data struct {
	*datasets.Catalog
	cache remote.Cache
}

// Localize implements runner.Datasets.
func (d *data) Localize(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetSpec, error) {
	var err error
	if spec.Path, err = d.cache.Fetch(ctx, spec.Path); err != nil {
		return spec, err
	}
	spec.Paths = maps.Clone(spec.Paths)
	for split, p := range spec.Paths {
		if spec.Paths[split], err = d.cache.Fetch(ctx, p); err != nil {
			return spec, err
		}
	}
	union := make([]pipelines.DatasetSpec, len(spec.Union))
	for i, u := range spec.Union {
		if union[i], err = d.Localize(ctx, u); err != nil {
			return spec, err
		}
	}
	if len(union) > 0 {
		spec.Union = union
	}
	return spec, nil
}

// submittedData looks at the data that a submission names: none in buckets,
// which would be read with the server's own keys.
func submittedData(cacheFile string) *data {
	refuse := func(context.Context, string) (remote.Source, error) {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "submitted pipelines name data on the server's disk, not at addresses")
	}
	return &data{Catalog: &datasets.Catalog{CacheFile: cacheFile}, cache: remote.Cache{Dir: filepath.Join(filepath.Dir(cacheFile), "datasets"), Open: refuse}}
}

// openDataBucket opens a bucket with the keys of the environment.
func (a *app) openDataBucket(ctx context.Context, bucket string) (remote.Source, error) {
	b, err := s3.Open(ctx, s3.Config{Bucket: bucket, Getenv: func(k string) string { return a.env[k] }})
	if err != nil {
		return nil, err
	}
	return bucketSource{b}, nil
}

// bucketSource is a bucket as datasets/remote reads one.
type bucketSource struct{ runner.Blobs }

// List implements remote.Source.
func (b bucketSource) List(ctx context.Context, prefix string) ([]remote.Object, error) {
	list, err := b.Blobs.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]remote.Object, len(list))
	for i, o := range list {
		out[i] = remote.Object{Key: o.Key, Size: o.Size, ETag: o.ETag}
	}
	return out, nil
}

// dataProgress tells on standard error, every few seconds, how much of a
// dataset is here.
func (a *app) dataProgress() func(address string, done, total int64) {
	var mu sync.Mutex
	var last time.Time
	return func(address string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if a.json || done < total && time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(a.Stderr, "%s: %.1f of %.1f MB (%.0f %%)\n", address, float64(done)/1e6, float64(total)/1e6, 100*float64(done)/float64(max(total, 1)))
	}
}
