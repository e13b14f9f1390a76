package adaptertest

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tensors hashes the numbers in a file of torch.save, in their order, and
// nothing that only tells of them; ok is false for other files.
func tensors(file string) (sum []byte, ok bool, err error) {
	r, err := zip.OpenReader(file)
	if err != nil {
		return nil, false, nil
	}
	defer r.Close()
	type storage struct {
		n    int
		file *zip.File
	}
	var found []storage
	for _, f := range r.File {
		folder, name := path.Split(f.Name)
		if n, err := strconv.Atoi(name); err == nil && strings.HasSuffix(folder, "/data/") {
			found = append(found, storage{n, f})
		}
	}
	if len(found) == 0 {
		return nil, false, nil
	}
	slices.SortFunc(found, func(a, b storage) int { return cmp.Compare(a.n, b.n) })
	h := sha256.New()
	for _, s := range found {
		in, err := s.file.Open()
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", file, err)
		}
		_, err = io.Copy(h, in)
		in.Close()
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", file, err)
		}
	}
	return h.Sum(nil), true, nil
}

// SavedWhole tells whether a checkpoint was written by platform_sdk.checkpoints.save,
// which keeps all that an exact resume needs.
func SavedWhole(checkpoint string) bool {
	r, err := zip.OpenReader(checkpoint)
	if err != nil {
		return false
	}
	defer r.Close()
	for _, f := range r.File {
		if path.Base(f.Name) != "data.pkl" {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return false
		}
		defer in.Close()
		text, err := io.ReadAll(in)
		return err == nil && bytes.Contains(text, []byte("sample_position")) && bytes.Contains(text, []byte("optimizer_state_dict")) && bytes.Contains(text, []byte("rng"))
	}
	return false
}
