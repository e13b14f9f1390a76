package datasets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// extensions of image files that are read, lower case.
var extensions = []string{".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp"}

func isImageName(name string) bool {
	return slices.Contains(extensions, strings.ToLower(path.Ext(name)))
}

// hidden names are skipped: .git, .DS_Store, ._copy.jpg, __MACOSX.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__MACOSX"
}

// checkFolder says why root is no folder that can be read.
func checkFolder(spec pipelines.DatasetSpec, root string) error {
	if root == "" {
		return fault(NotFound, spec, Error{}, "it has no path; set path (a folder), paths or union")
	}
	if scheme, _, ok := strings.Cut(root, "://"); ok {
		return fault(Unavailable, spec, Error{Path: root}, "%s: data in %s:// is not available in this version; copy it to a local folder", root, scheme)
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault(NotFound, spec, Error{Path: root}, "the folder %s does not exist%s", root, nearby(root))
	case err != nil:
		return fault(NotFound, spec, Error{Path: root}, "%w; check the path and its permissions", err)
	case !info.IsDir():
		return fault(NotAFolder, spec, Error{Path: root}, "%s is a file; path must be a folder of class folders (unpack an archive first)", root)
	}
	return nil
}

// subfolders are the names of folders in root, sorted; links are followed.
func subfolders(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !hidden(e.Name()) && isFolder(root, e) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isFolder(dir string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// walk finds the image files under root/class, with rel set to class/…
func (l *listing) walk(ctx context.Context, root, class string) ([]file, error) {
	var found []file
	var visit func(rel string, above []fs.FileInfo) error
	visit = func(rel string, above []fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := filepath.Join(root, filepath.FromSlash(rel))
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		for _, a := range above {
			if os.SameFile(a, info) {
				return fmt.Errorf("%s is a link to a folder above itself", dir)
			}
		}
		above = append(slices.Clip(above), info)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			switch {
			case hidden(name):
			case isFolder(dir, e):
				if err := visit(path.Join(rel, name), above); err != nil {
					return err
				}
			case isImageName(name):
				found = append(found, file{path: filepath.Join(dir, name), rel: path.Join(rel, name)})
			default:
				l.ignored[strings.ToLower(path.Ext(name))]++
			}
		}
		return nil
	}
	return found, visit(class, nil)
}
