package work

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// scan lists the files below some folders of a run, and the links between
// checkpoints, read before their targets. What begins with a dot is being
// written and left out.
func scan(runDir string, folders ...string) (paths []string, links map[string]string, err error) {
	links = map[string]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(runDir, folder), func(at string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(runDir, at)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			switch {
			case strings.HasPrefix(d.Name(), "."):
				if d.IsDir() {
					return fs.SkipDir
				}
			case d.Type()&fs.ModeSymlink != 0:
				if name, err := os.Readlink(at); err == nil && name == filepath.Base(name) {
					links[rel] = name
				}
			case d.Type().IsRegular():
				paths = append(paths, rel)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return paths, links, nil
}
