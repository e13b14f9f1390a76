package datasets_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/datasets"
)

func TestFind(t *testing.T) {
	root := write(t,
		"flowers/train/rose/1.jpg", "flowers/train/tulip/1.jpg", "flowers/val/rose/2.jpg",
		"more/deep/flat/cat/1.png", "more/deep/flat/dog/1.png",
		"boxes/data.yaml", "notes/a/readme.txt", "notes/b/readme.txt", ".runner/runs/a/1.jpg", ".runner/runs/b/1.jpg")
	got := map[string]string{}
	for _, spec := range datasets.Find(context.Background(), root) {
		name, err := filepath.Rel(root, spec.Path)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = spec.Format
		if (spec.Split != nil) != (name == "more/deep/flat") {
			t.Errorf("%s: split %+v", name, spec.Split)
		}
	}
	want := map[string]string{"flowers": "imagefolder", "more/deep/flat": "imagefolder", "boxes": "yolo"}
	if len(got) != len(want) {
		t.Errorf("found %v, want %v", got, want)
	}
	for name, format := range want {
		if got[name] != format {
			t.Errorf("%s: %q, want %q (all: %v)", name, got[name], format, got)
		}
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if found := datasets.Find(ended, root); len(found) != 0 {
		t.Errorf("found %v after its context ended", found)
	}
}
