package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/trainwright/trainwright/pipelines"
)

// didYouMean is `; did you mean "x"?` for the nearest of the names, or "".
func didYouMean(name string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(n), nil); d < min(least, len(name)) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// alias finds a folder that is the split under another name.
func alias(split string, folders []string) string {
	others := map[string][]string{
		"train": {"Train", "TRAIN", "training", "Training", "trainset"},
		"val":   {"Val", "VAL", "valid", "Valid", "validation", "Validation", "dev", "eval"},
	}
	for _, name := range others[split] {
		if slices.Contains(folders, name) {
			return fmt.Sprintf(" (there is %q)", name)
		}
	}
	return ""
}

// hint says what a folder looks like when it is not the one wanted, or "".
func hint(root string) string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return ""
	}
	images := 0
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == "data.yaml" || name == "dataset.yaml":
			return " (it looks like format \"yolo\")"
		case name == "annotations" && isFolder(root, e):
			return " (it looks like format \"coco\")"
		case name == "Annotations" && isFolder(root, e):
			return " (it looks like format \"voc\")"
		case isImageName(name) && !e.IsDir():
			images++
		case isFolder(root, e):
			if inner := filepath.Join(root, name); isDivided(inner) {
				return fmt.Sprintf(" (did you mean %s?)", inner)
			}
		}
	}
	switch {
	case images > 0 && isDivided(filepath.Dir(filepath.Dir(root))):
		return fmt.Sprintf(": its %d images lie in it directly (did you mean %s?)", images, filepath.Dir(filepath.Dir(root)))
	case images > 0:
		return fmt.Sprintf(": its %d images lie in it directly; put them into a folder per class", images)
	case len(entries) == 0:
		return ": it is empty"
	}
	return ""
}

func isDivided(root string) bool {
	for _, split := range []string{"train", "val"} {
		if info, err := os.Stat(filepath.Join(root, split)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// nearby is a hint at a folder of a similar name, or the part of the path that exists.
func nearby(root string) string {
	parent := filepath.Dir(root)
	if names, err := subfolders(parent); err == nil {
		return didYouMean(filepath.Base(root), names)
	}
	for parent != filepath.Dir(parent) {
		if info, err := os.Stat(parent); err == nil && info.IsDir() {
			return fmt.Sprintf(" (%s does)", parent)
		}
		parent = filepath.Dir(parent)
	}
	return ""
}

// someNames joins at most four names.
func someNames(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}

// corruptNote tells of files that look like images and cannot be read.
func corruptNote(corrupt []pipelines.FileProblem) string {
	switch len(corrupt) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("; %s cannot be used: %s", corrupt[0].Path, corrupt[0].Error)
	}
	return fmt.Sprintf("; %d files cannot be used, the first is %s: %s", len(corrupt), corrupt[0].Path, corrupt[0].Error)
}
