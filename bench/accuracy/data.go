package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/image"
)

// list reads CLASS/FILE below dir; classes and files are in name order.
func list(dir string) (samples []data.Sample, classes []string, err error) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			samples = append(samples, data.Sample{Path: filepath.Join(dir, f.Name(), file.Name()), Label: len(classes)})
		}
		classes = append(classes, f.Name())
	}
	if len(samples) == 0 {
		return nil, nil, fmt.Errorf("%s has no CLASS/FILE", dir)
	}
	return samples, classes, nil
}

// pixels writes path.images (uint8 [N, S, S, 3]) and path.labels.json.
func pixels(ctx context.Context, path string, samples []data.Sample, transform image.Eval) error {
	loader, err := data.New(data.Config{Samples: samples, Transform: transform, BatchSize: 64})
	if err != nil {
		return err
	}
	var images []byte
	var labels []int64
	for batch, err := range loader.Epoch(ctx, 0, 0) {
		if err != nil {
			return err
		}
		images = append(images, batch.Images...)
		labels = append(labels, batch.Labels...)
	}
	if err := os.WriteFile(path+".images", images, 0o644); err != nil {
		return err
	}
	return writeJSON(path+".labels.json", labels)
}
