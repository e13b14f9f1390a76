package datasets

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

const (
	findDepth   = 4
	findFolders = 2000 // looked into at most
	findMost    = 200
)

// Find lists the datasets in the folders under root as the blocks that Detect
// guesses, sorted by path. It looks at names only, not far down, and stops when
// it has seen much or ctx ends: what it lists is a help to choose from.
func Find(ctx context.Context, root string) []pipelines.DatasetSpec {
	var found []pipelines.DatasetSpec
	left := findFolders
	var look func(dir string, depth int)
	look = func(dir string, depth int) {
		if left--; left < 0 || len(found) >= findMost || ctx.Err() != nil {
			return
		}
		if spec, err := Detect(dir); err == nil && holds(spec) {
			found = append(found, spec)
			return
		}
		if depth == 0 {
			return
		}
		folders, err := subfolders(dir)
		if err != nil {
			return
		}
		for _, name := range folders {
			look(filepath.Join(dir, name), depth-1)
		}
	}
	look(root, findDepth)
	return found
}

// holds tells whether a guessed dataset has what its format wants, as far as
// names say: Detect takes every folder of folders for class folders.
func holds(spec pipelines.DatasetSpec) bool {
	if spec.Format != "imagefolder" {
		return true
	}
	root := spec.Path
	if spec.Split == nil {
		root = filepath.Join(root, "train")
	}
	folders, err := subfolders(root)
	if err != nil || len(folders) < 2 {
		return false
	}
	return hasImage(filepath.Join(root, folders[0])) && hasImage(filepath.Join(root, folders[len(folders)-1]))
}

func hasImage(dir string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(50) // of a folder that cannot be read there are none
	return slices.ContainsFunc(names, isImageName)
}
