package shapes

import (
	"fmt"
	"math"
	"testing"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/pipelines"
)

// The same set in every label style: the same images, boxes, points and fingerprint.
func TestStylesAreOneSet(t *testing.T) {
	for _, keypoints := range []bool{false, true} {
		t.Run(fmt.Sprint("keypoints ", keypoints), func(t *testing.T) { oneSet(t, keypoints) })
	}
}

func oneSet(t *testing.T, keypoints bool) {
	fingerprints := map[string]string{}
	for _, format := range []string{"coco", "yolo"} {
		dir := t.TempDir()
		images, boxes, err := Write(t.Context(), dir, Options{Format: format, Train: 8, Val: 3, ImageSize: 48, Keypoints: keypoints})
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
		index, err := new(datasets.Catalog).Index(t.Context(), pipelines.DatasetSpec{Name: "shapes", Format: format, Path: dir})
		if err != nil {
			t.Fatal(err)
		}
		if (index.Keypoints != nil) != keypoints {
			t.Fatalf("%s: keypoints %+v", format, index.Keypoints)
		}
		for _, sample := range index.Splits["train"] {
			for _, b := range sample.Boxes {
				touch(t, b, keypoints)
			}
		}
	}
	if len(fingerprints) != 1 {
		t.Errorf("the styles differ: %v", fingerprints)
	}
}

// touch: the points of a shape lie on the sides of its box.
func touch(t *testing.T, b pipelines.Box, keypoints bool) {
	t.Helper()
	if !keypoints {
		return
	}
	if len(b.Keypoints) != 12 {
		t.Fatalf("keypoints %v", b.Keypoints)
	}
	x, y, right, bottom := b.Rect[0], b.Rect[1], b.Rect[0]+b.Rect[2], b.Rect[1]+b.Rect[3]
	for i, want := range map[int]float64{0: x, 4: y, 6: right, 10: bottom, 2: 2, 11: 2} {
		if math.Abs(b.Keypoints[i]-want) > 0.02 {
			t.Errorf("keypoints %v of the box %v", b.Keypoints, b.Rect)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Train: -1}, {ImageSize: 8}, {Most: 50}, {Format: "imagefolder"}, {Format: "voc", Keypoints: true}} {
		if _, _, err := Write(t.Context(), t.TempDir(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
