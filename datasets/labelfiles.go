package datasets

import (
	"os"
	"path/filepath"
	"strings"
)

// splitAliases are the names that splits have in label files and folders.
var splitAliases = map[string][]string{
	"train": {"train", "training", "train2017", "trainval"},
	"val":   {"val", "valid", "validation", "val2017"},
	"test":  {"test", "testing", "test2017"},
}

// isFile says whether path is a regular file.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// firstFile is the first of the paths that is a file, or "".
func firstFile(paths ...string) string {
	for _, p := range paths {
		if isFile(p) {
			return p
		}
	}
	return ""
}

// imageNear finds the image that a label file names, in the first of the
// folders that has it; or, by its stem, one of any image type.
func imageNear(name string, folders []string) string {
	name = filepath.FromSlash(strings.ReplaceAll(name, "\\", "/"))
	if filepath.IsAbs(name) && isFile(name) {
		return name
	}
	for _, folder := range folders {
		if p := filepath.Join(folder, name); isFile(p) {
			return p
		}
	}
	if name != filepath.Base(name) {
		return imageNear(filepath.Base(name), folders)
	}
	return ""
}

func imageByStem(stem string, folders []string) string {
	for _, folder := range folders {
		for _, ext := range extensions {
			for _, e := range []string{ext, strings.ToUpper(ext)} {
				if p := filepath.Join(folder, stem+e); isFile(p) {
					return p
				}
			}
		}
	}
	return ""
}

// imageFolders are where the images of a split may lie, beside labels in dir.
func imageFolders(root, dir, split string) []string {
	folders := []string{dir, filepath.Join(dir, "images")}
	for _, base := range []string{root, filepath.Dir(root)} {
		for _, alias := range splitAliases[split] {
			folders = append(folders, filepath.Join(base, "images", alias), filepath.Join(base, "JPEGImages", alias), filepath.Join(base, alias), filepath.Join(base, alias, "images"))
		}
		folders = append(folders, filepath.Join(base, "images"), filepath.Join(base, "JPEGImages"))
	}
	return append(folders, root)
}
