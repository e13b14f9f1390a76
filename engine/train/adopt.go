package train

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/engine/train/checkpoint"
)

// adopt copies the start checkpoint of another run into this run's folder, so
// that a crash falls back to it, and the best one of that run, so that this run
// has one even if it does not improve on it.
func (t *trainer) adopt(start checkpoint.Info) error {
	dir, from := t.cfg.Checkpoints.Dir, filepath.Dir(start.Path)
	if same, err := filepath.Abs(dir); err == nil && same == from {
		return nil
	}
	if err := copyCheckpoint(start, dir, "latest"); err != nil {
		return err
	}
	old, err := ReadState(start.Path)
	if err != nil {
		return err
	}
	best, err := checkpoint.Open(filepath.Join(from, "best"))
	if err != nil || old.Best == nil || best.GlobalStep != old.Best.GlobalStep {
		return nil // none that this state knows of: the first epoch makes one
	}
	if best.Name == start.Name {
		return checkpoint.Link(dir, "best", best.Name)
	}
	return copyCheckpoint(best, dir, "best")
}

func copyCheckpoint(src checkpoint.Info, dir, link string) error {
	c := checkpoint.Content{Epoch: src.Epoch, GlobalStep: src.GlobalStep, Complete: src.Complete, Metrics: src.Metrics,
		Bytes: src.Size(), Files: map[string]func(io.Writer) error{}}
	for name := range src.Files {
		c.Files[name] = func(w io.Writer) error {
			f, err := os.Open(filepath.Join(src.Path, name))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		}
	}
	if _, err := checkpoint.Write(dir, src.Name, c); err != nil {
		return fmt.Errorf("take over checkpoint %s: %w", src.Path, err)
	}
	return checkpoint.Link(dir, link, src.Name)
}
