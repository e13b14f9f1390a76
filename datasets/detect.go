package datasets

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// Detect guesses the block that describes the folder at path, for a new
// pipeline: its format, and a split where it is flat. It looks at names only.
func Detect(path string) (pipelines.DatasetSpec, error) {
	spec := absolute(pipelines.DatasetSpec{Path: path})
	spec.Paths = nil
	if err := checkFolder(spec, spec.Path); err != nil {
		return spec, err
	}
	spec.Format = "imagefolder"
	for _, sign := range []struct{ name, format string }{
		{"data.yaml", "yolo"}, {"annotations", "coco"}, {"Annotations", "voc"},
	} {
		if _, err := os.Stat(filepath.Join(spec.Path, sign.name)); err == nil {
			spec.Format = sign.format
			return spec, nil
		}
	}
	folders, err := subfolders(spec.Path)
	if err != nil {
		return spec, fault(WrongFolder, spec, Error{Path: spec.Path}, "%w", err)
	}
	if len(folders) == 0 {
		return spec, notDivided(spec, folders)
	}
	if slices.Contains(folders, "train") {
		return spec, nil
	}
	if alias("train", folders) != "" || hint(spec.Path) != "" {
		return spec, notDivided(spec, folders)
	}
	spec.Split = &pipelines.Split{Train: 0.8, Val: 0.2, Seed: 1, Stratify: true}
	return spec, nil
}
