package shapes

import (
	"testing"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/pipelines"
)

// The same set in every label style: the same images, boxes and fingerprint.
func TestStylesAreOneSet(t *testing.T) {
	fingerprints := map[string]string{}
	for _, format := range []string{"coco", "yolo"} {
		dir := t.TempDir()
		images, boxes, err := Write(t.Context(), dir, Options{Format: format, Train: 8, Val: 3, ImageSize: 48})
		if err != nil {
			t.Fatal(err)
		}
		r, err := new(datasets.Catalog).Inspect(t.Context(), pipelines.DatasetSpec{Name: "shapes", Format: format, Path: dir})
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, split := range r.Boxes {
			for _, n := range split {
				counted += n
			}
		}
		if r.Images != images || counted != boxes || len(r.Corrupt) > 0 {
			t.Errorf("%s: wrote %d images and %d boxes, read %d and %d, problems %v", format, images, boxes, r.Images, counted, r.Corrupt)
		}
		fingerprints[r.Fingerprint] = format
	}
	if len(fingerprints) != 1 {
		t.Errorf("the styles differ: %v", fingerprints)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Train: -1}, {ImageSize: 8}, {Most: 50}, {Format: "imagefolder"}} {
		if _, _, err := Write(t.Context(), t.TempDir(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
