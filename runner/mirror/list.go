package mirror

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// List lists files and links below some folders of a run, in the order of
// their paths, while a step works in them. Links that do not point at a
// neighbour are left out.
func List(runDir string, folders ...string) ([]File, error) {
	for try := 0; ; try++ {
		files, err := walk(runDir, folders)
		if err != nil {
			return nil, err
		}
		whole := whole(files)
		if len(whole) == len(files) || try == 3 {
			return whole, nil
		}
	}
}

// whole leaves out links to what is not listed: it appeared while the folder
// was read, or went.
func whole(files []File) []File {
	there := map[string]bool{}
	for _, f := range files {
		name, _ := entry(f.Path)
		there[name] = true
	}
	return slices.DeleteFunc(slices.Clone(files), func(f File) bool {
		return f.Link != "" && !there[path.Join(path.Dir(f.Path), f.Link)]
	})
}

func walk(runDir string, folders []string) ([]File, error) {
	var out []File
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(runDir, folder), func(at string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile, or not there at all
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(runDir, at)
			if err != nil {
				return err
			}
			f := File{Path: filepath.ToSlash(rel)}
			if f.Path == folder {
				return nil
			}
			if !plain(d.Name()) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			switch name, _ := entry(f.Path); {
			case d.Type()&fs.ModeSymlink != 0:
				if f.Link, err = os.Readlink(at); err != nil || name != f.Path || !plain(f.Link) || f.Link == d.Name() {
					return nil
				}
			case d.Type().IsRegular():
				info, err := d.Info()
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				if err != nil {
					return err
				}
				f.Size, f.Time = info.Size(), info.ModTime()
			default:
				return nil
			}
			out = append(out, f)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
