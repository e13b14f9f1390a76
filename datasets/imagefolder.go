package datasets

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// listImageFolder reads ROOT/{train,val[,test]}/CLASS/**, or flat ROOT/CLASS/**
// when spec.Split says how to divide it.
func listImageFolder(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error) {
	folders, err := subfolders(spec.Path)
	if err != nil {
		return nil, fault(WrongFolder, spec, Error{Path: spec.Path}, "%w", err)
	}
	divided := slices.Contains(folders, "train")
	if spec.Split == nil {
		if !divided {
			return nil, notDivided(spec, folders)
		}
		return listDivided(ctx, spec, folders)
	}
	if divided && slices.Contains(folders, "val") {
		return nil, fault(BadSplit, spec, Error{Path: spec.Path}, "%s is divided into train and val already, and split would divide it again; remove split, or use path = %q", spec.Path, filepath.Join(spec.Path, "train"))
	}
	l := newListing()
	if err := l.addSplit(ctx, spec, spec.Path, "", ""); err != nil {
		return nil, err
	}
	return l, l.divide(spec)
}

// listDivided reads the split folders of spec.Path.
func listDivided(ctx context.Context, spec pipelines.DatasetSpec, folders []string) (*listing, error) {
	for _, split := range []string{"train", "val"} {
		if !slices.Contains(folders, split) {
			return nil, fault(MissingSplit, spec, Error{Path: spec.Path, Split: split}, "%s has no folder %q%s; wanted {train,val[,test]}/CLASS/image.jpg, or paths = { train = …, val = … }",
				spec.Path, split, alias(split, folders))
		}
	}
	l := newListing()
	for _, split := range splitNames {
		if slices.Contains(folders, split) {
			if err := l.addSplit(ctx, spec, filepath.Join(spec.Path, split), split, split+"/"); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// notDivided explains a folder without train.
func notDivided(spec pipelines.DatasetSpec, folders []string) error {
	at := Error{Path: spec.Path}
	if a := alias("train", folders); a != "" {
		at.Split = "train"
		return fault(MissingSplit, spec, at, "%s has no folder \"train\"%s; rename it, or write paths = { train = …, val = … }", spec.Path, a)
	}
	if h := hint(spec.Path); h != "" || len(folders) == 0 {
		return fault(WrongFolder, spec, at, "%s is not laid out as {train,val[,test]}/CLASS/image.jpg%s", spec.Path, h)
	}
	return fault(MissingSplit, spec, at, "%s has no folders train and val; if its %d folders (%s) are the classes, say how to divide them: split { train = 0.8, val = 0.2, seed = 1, stratify = true }",
		spec.Path, len(folders), someNames(folders))
}
