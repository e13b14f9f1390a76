package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// SavedFile is a file as it was saved.
type SavedFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256" doc:"of its text, hex: send it as replaces to overwrite just this"`
}

var folderName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

// Save writes files into the folder name under root, each whole or not at
// all. A file that is there already is overwritten only when replaces has the
// SHA-256 of its text, so that nobody's work is lost unseen; one of the same
// text is left alone.
func Save(root, name string, files, replaces map[string]string) ([]SavedFile, error) {
	if !folderName.MatchString(name) {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "%.100q cannot be the name of a folder: letters, digits, _, - and ., no dot first, 64 at most", name)
	}
	if err := (Submission{Files: files}).Check(); err != nil {
		return nil, err
	}
	base, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("save: %w", err)
	}
	defer base.Close()
	if err := base.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("save: %w", err)
	}
	dir, err := base.OpenRoot(name) // a link does not lead out of root
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeConflict, "%q is no folder of the server's --save-root", name)
	}
	defer dir.Close()
	names := slices.Sorted(maps.Keys(files))
	for _, file := range names { // all are looked at before one is written
		if err := replaceable(dir, file, files[file], replaces[file]); err != nil {
			return nil, err
		}
	}
	var out []SavedFile
	for _, file := range names {
		if err := write(dir, file, files[file]); err != nil {
			return nil, err
		}
		out = append(out, SavedFile{Name: file, SHA256: hash(files[file])})
	}
	return out, nil
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func replaceable(dir *os.Root, name, text, replaces string) error {
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if replaces != "" {
			return pipelines.Errorf(pipelines.CodeConflict, "%s, which is to be replaced, is not there any more", name)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if !info.Mode().IsRegular() {
		return pipelines.Errorf(pipelines.CodeConflict, "%s is no regular file", name)
	}
	there, err := dir.ReadFile(name)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if is := hash(string(there)); is != replaces && string(there) != text {
		return pipelines.Errorf(pipelines.CodeConflict, "%s is there already with another text; to replace it send its SHA-256, which is %s", name, is)
	}
	return nil
}

func write(dir *os.Root, name, text string) error {
	tmp := "." + name + ".saving"
	f, err := dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = dir.Rename(tmp, name)
	}
	if err != nil {
		_ = dir.Remove(tmp) // what failed is told
		return fmt.Errorf("save: %w", err)
	}
	return nil
}
