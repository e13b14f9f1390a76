package data_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/image"
)

// BenchmarkEpoch reports images/s of whole epochs: small files from disk, the
// same from the cache, and both with every augmentation. RUNNER_BENCH_IMAGES
// names a folder of real images; without it the tests' 32 px files are used.
func BenchmarkEpoch(b *testing.B) {
	samples := files(b, 500, 32)
	if root := os.Getenv("RUNNER_BENCH_IMAGES"); root != "" {
		samples = samples[:0]
		if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				samples = append(samples, data.Sample{Path: path})
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, size := range []int{32, 224} {
		transform := image.Eval{Size: size, CropPct: 1, Filter: image.Bilinear}
		for name, cfg := range map[string]data.Config{
			"disk":          {},
			"cache":         {CacheBytes: 1 << 30},
			"cache+augment": {CacheBytes: 1 << 30, Augment: data.Augment{RandomCrop: 4, RandomFlip: true, Rotation: 10, ColorJitter: 0.2}},
			"cache+flip":    {CacheBytes: 1 << 30, Augment: data.Augment{RandomFlip: true}},
		} {
			cfg.Samples, cfg.Transform, cfg.BatchSize, cfg.Shuffle = samples, transform, 64, true
			b.Run(name+"/"+map[int]string{32: "32px", 224: "224px"}[size], func(b *testing.B) {
				loader, err := data.New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				epoch := func(n int) {
					for _, err := range loader.Epoch(context.Background(), n, 0) {
						if err != nil {
							b.Fatal(err)
						}
					}
				}
				epoch(0) // fills the cache
				b.ResetTimer()
				for i := range b.N {
					epoch(i)
				}
				b.ReportMetric(float64(len(samples)*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
