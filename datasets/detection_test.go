package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
)

// picture is a PNG of w x h pixels in one colour, so that each has its own content.
func picture(t *testing.T, path string, w, h, shade int) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(shade), uint8(shade * 7), 90, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	text(t, path, b.String())
}

func text(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cells is a set of three training and two validation images in the YOLO
// style: two cats and a dog in the first, background in the third.
func cells(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"train/a", "train/b", "train/c", "val/d", "val/e"} {
		picture(t, filepath.Join(dir, "images", name+".png"), 60, 40, i+1)
	}
	text(t, filepath.Join(dir, "data.yaml"), "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")
	text(t, filepath.Join(dir, "labels/train/a.txt"), "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.1 0.2\n0 0.75 0.5 0.2 0.4\n")
	text(t, filepath.Join(dir, "labels/train/b.txt"), "1 0.5 0.5 1 1\n")
	text(t, filepath.Join(dir, "labels/val/d.txt"), "0 0.3 0.3 0.1 0.1\n")
	text(t, filepath.Join(dir, "labels/val/e.txt"), "1 0.3 0.3 0.133333 0.1\n")
	return dir
}

func detection(format, path string) pipelines.DatasetSpec {
	return pipelines.DatasetSpec{Name: "cells", Format: format, Path: path}
}

func TestBoxes(t *testing.T) {
	dir := cells(t)
	c := new(Catalog)
	r, err := c.Inspect(t.Context(), detection("yolo", dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]map[string]int{"train": {"cat": 2, "dog": 2}, "val": {"cat": 1, "dog": 1}}; !reflect.DeepEqual(r.Boxes, want) {
		t.Errorf("boxes %v, want %v", r.Boxes, want)
	}
	if want := map[string]map[string]int{"train": {"cat": 1, "dog": 2}, "val": {"cat": 1, "dog": 1}}; !reflect.DeepEqual(r.Counts, want) {
		t.Errorf("images %v, want %v", r.Counts, want)
	}
	index, err := c.Index(t.Context(), detection("yolo", dir))
	if err != nil {
		t.Fatal(err)
	}
	want := pipelines.Sample{Path: filepath.Join(dir, "images/train/a.png"), Width: 60, Height: 40, Boxes: []pipelines.Box{
		{Label: 0, Rect: [4]float64{15, 10, 30, 20}}, {Label: 0, Rect: [4]float64{39, 12, 12, 16}}, {Label: 1, Rect: [4]float64{12, 6, 6, 8}}}}
	got := index.Splits["train"][0]
	for i, b := range got.Boxes { // shares in text are exact to rounding only
		for d := range b.Rect {
			if x := b.Rect[d] - want.Boxes[i].Rect[d]; x < -1e-9 || x > 1e-9 {
				t.Errorf("box %d is %v, want %v", i, b, want.Boxes[i])
			}
		}
		if b.Label != want.Boxes[i].Label {
			t.Errorf("box %d is of %d, want %d", i, b.Label, want.Boxes[i].Label)
		}
	}
	if len(got.Boxes) != 3 || got.Width != 60 || got.Height != 40 || len(index.Splits["train"]) != 3 || len(index.Splits["train"][2].Boxes) != 0 {
		t.Errorf("train = %+v", index.Splits["train"])
	}
}

// Every style of one set has its fingerprint, and every other set another.
func TestConvertKeepsTheFingerprint(t *testing.T) {
	c := new(Catalog)
	from, format := cells(t), "yolo"
	first, err := c.Inspect(t.Context(), detection(format, from))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"coco", "voc", "yolo", "voc", "coco"} {
		dir := t.TempDir()
		done, err := c.Convert(t.Context(), detection(format, from), dir, to)
		if err != nil {
			t.Fatal(err)
		}
		if done.Fingerprint != first.Fingerprint || done.Images != 5 || done.Boxes != 6 || done.Lost != nil {
			t.Errorf("%s to %s: %+v, want fingerprint %s, 5 images, 6 boxes", format, to, done, first.Fingerprint)
		}
		if found, err := Detect(dir); err != nil || found.Format != to {
			t.Errorf("%s is taken for %q (%v)", to, found.Format, err)
		}
		from, format = dir, to
	}
	if _, err := c.Convert(t.Context(), detection(format, from), from, "yolo"); pipelines.CodeOf(err) != pipelines.CodeConflict {
		t.Errorf("written over itself: %v", err)
	}
	text(t, filepath.Join(from, "annotations/instances_val.json"), strings.Replace(read(t, filepath.Join(from, "annotations/instances_val.json")), `"category_id": 1`, `"category_id": 2`, 1))
	if r, err := c.Inspect(t.Context(), detection(format, from)); err != nil || r.Fingerprint == first.Fingerprint {
		t.Errorf("another class has the fingerprint too (%v)", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Outlines and keypoints go through the styles that have a place for them.
func TestOutlinesAndKeypoints(t *testing.T) {
	dir := t.TempDir()
	for i, split := range []string{"train", "val"} {
		picture(t, filepath.Join(dir, "images", split, "x.png"), 50, 50, i+1)
		text(t, filepath.Join(dir, "annotations/instances_"+split+".json"), `{"images":[{"id":7,"file_name":"x.png"}],
			"categories":[{"id":3,"name":"face","keypoints":["left eye","right eye"]}],
			"annotations":[{"id":1,"image_id":7,"category_id":3,"bbox":[5,5,20,30],"segmentation":[[5,5,25,5,25,35]],"keypoints":[10,10,2,20,10,1]}]}`)
	}
	c := new(Catalog)
	index, err := c.Index(t.Context(), detection("coco", dir))
	if err != nil {
		t.Fatal(err)
	}
	want := pipelines.Box{Rect: [4]float64{5, 5, 20, 30}, Polygons: [][]float64{{5, 5, 25, 5, 25, 35}}, Keypoints: []float64{10, 10, 2, 20, 10, 1}}
	if got := index.Splits["train"][0].Boxes[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("box %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(index.Keypoints, &pipelines.Keypoints{Count: 2, Flip: []int{1, 0}}) {
		t.Errorf("keypoints %+v", index.Keypoints)
	}
	yolo := t.TempDir()
	done, err := c.Convert(t.Context(), detection("coco", dir), yolo, "yolo")
	if err != nil || len(done.Lost) != 1 || !strings.Contains(done.Lost[0], "2 outlines") {
		t.Fatalf("lost %v (%v), want the outlines", done.Lost, err)
	}
	index, err = c.Index(t.Context(), detection("yolo", yolo))
	if err != nil {
		t.Fatal(err)
	}
	if k := index.Splits["val"][0].Boxes[0].Keypoints; fmt.Sprint(k) != "[10 10 2 20 10 1]" {
		t.Errorf("keypoints %v", k)
	}
}

// What is wrong with labels is told with file and line, and left out.
func TestBadAnnotations(t *testing.T) {
	type want struct {
		file string
		line int
		text string
	}
	coco := func(annotations, images, categories string) string {
		return fmt.Sprintf("{\"images\": [\n%s],\n\"categories\": [\n%s],\n\"annotations\": [\n%s]}", images, categories, annotations)
	}
	const good = `{"id":1,"image_id":1,"category_id":1,"bbox":[1,1,5,5]},` + "\n" + `{"id":2,"image_id":1,"category_id":2,"bbox":[1,1,5,5]}`
	const images, categories = `{"id":1,"file_name":"a.png"}`, `{"id":1,"name":"cat"},{"id":2,"name":"dog"}`
	for name, c := range map[string]struct {
		format, file, content string
		want                  want
	}{
		"yolo class":     {"yolo", "labels/train/a.txt", "0 0.5 0.5 0.5 0.5\n1 .5 .5 .1 .1\n2 0.5 0.5 0.5 0.5\n", want{"labels/train/a.txt", 3, "class 2 is out of range: there are 2 classes, 0 to 1"}},
		"yolo outside":   {"yolo", "labels/train/a.txt", "0 0.5 0.5 0.5 0.5\n1 .5 .5 .1 .1\n\n0 0.9 0.5 0.5 0.5\n", want{"labels/train/a.txt", 4, "reaches outside the image of 60 x 40 pixels"}},
		"yolo nan":       {"yolo", "labels/train/a.txt", "0 nan 0.5 0.5 0.5\n0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n", want{"labels/train/a.txt", 1, "a coordinate is not a number"}},
		"yolo text":      {"yolo", "labels/train/a.txt", "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\ncat .5 .5 .1 .1\n", want{"labels/train/a.txt", 3, `"cat" is no number`}},
		"yolo short":     {"yolo", "labels/train/a.txt", "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n0 .5 .5\n", want{"labels/train/a.txt", 3, "2 numbers after the class"}},
		"yolo empty box": {"yolo", "labels/train/a.txt", "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n0 .5 .5 0 .1\n", want{"labels/train/a.txt", 3, "the box has no area"}},
		"yolo twice":     {"yolo", "labels/train/a.txt", "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n0 .5 .5 .1 .1\n", want{"labels/train/a.txt", 3, "the same object as in line 1"}},
		"yolo orphan":    {"yolo", "labels/train/zzz.txt", "0 .5 .5 .1 .1\n", want{"labels/train/zzz.txt", 1, "there is no image of this name"}},
		"coco category":  {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":3,"image_id":1,"category_id":9,"bbox":[1,1,5,5]}`, images, categories), want{"annotations/instances_train.json", 8, "annotation 3: category_id 9 is no category's"}},
		"coco image":     {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":3,"image_id":5,"category_id":1,"bbox":[1,1,5,5]}`, images, categories), want{"annotations/instances_train.json", 8, "annotation 3: image_id 5 is no image's"}},
		"coco outside":   {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":3,"image_id":1,"category_id":1,"bbox":[50,1,50,5]}`, images, categories), want{"annotations/instances_train.json", 8, "annotation 3: the box from (50, 1) to (100, 6) reaches outside"}},
		"coco nan":       {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":3,"image_id":1,"category_id":1,"bbox":[NaN,1,50,-Infinity]}`, images, categories), want{"annotations/instances_train.json", 8, "annotation 3: a coordinate is not a number"}},
		"coco id":        {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":2,"image_id":1,"category_id":1,"bbox":[1,1,5,5]}`, images, categories), want{"annotations/instances_train.json", 8, "annotation 2: its id stands twice"}},
		"coco image id":  {"coco", "annotations/instances_train.json", coco(good, images+",\n"+`{"id":1,"file_name":"b.png"}`, categories), want{"annotations/instances_train.json", 3, `image id 1 stands twice; the second is "b.png"`}},
		"coco missing":   {"coco", "annotations/instances_train.json", coco(good, images+",\n"+`{"id":9,"file_name":"gone.png"}`, categories), want{"annotations/instances_train.json", 3, `image 9, "gone.png", is not there`}},
		"coco shape":     {"coco", "annotations/instances_train.json", coco(good+",\n"+`{"id":3,"image_id":1,"category_id":1,"bbox":"no"}`, images, categories), want{"annotations/instances_train.json", 8, "bbox"}},
		"voc text":       {"voc", "Annotations/train/b.xml", "<annotation>\n<filename>b.png</filename>\n<object>\n<name>dog</name><bndbox><xmin>x</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>\n</object></annotation>", want{"Annotations/train/b.xml", 3, `xmin of its box is "x", no number`}},
		"voc class":      {"voc", "Annotations/train/b.xml", "<annotation>\n<object><name>dgo</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>", want{"Annotations/train/b.xml", 2, `"dgo" is no class of classes.txt; did you mean "dog"?`}},
		"voc turned":     {"voc", "Annotations/train/b.xml", "<annotation>\n<object><name>dog</name><bndbox><xmin>9</xmin><ymin>0</ymin><xmax>0</xmax><ymax>9</ymax></bndbox></object></annotation>", want{"Annotations/train/b.xml", 2, "the box has no area: -9 wide"}},
		"voc missing":    {"voc", "Annotations/train/gone.xml", "<annotation>\n<filename>gone.png</filename></annotation>", want{"Annotations/train/gone.xml", 1, "there is no image gone.png"}},
		"voc broken":     {"voc", "Annotations/train/b.xml", "<annotation>\n<object><name>dog</nam></object>\n</annotation>", want{"Annotations/train/b.xml", 2, "element <name> closed by </nam>"}},
	} {
		t.Run(name, func(t *testing.T) {
			catalog := new(Catalog)
			dir := cells(t)
			if c.format != "yolo" {
				to := t.TempDir()
				if _, err := catalog.Convert(t.Context(), detection("yolo", dir), to, c.format); err != nil {
					t.Fatal(err)
				}
				dir = to
			}
			text(t, filepath.Join(dir, c.file), c.content)
			r, err := catalog.Inspect(t.Context(), detection(c.format, dir))
			if err != nil {
				t.Fatalf("%v", err)
			}
			if len(r.Corrupt) != 1 {
				t.Fatalf("problems %+v, want one", r.Corrupt)
			}
			p := r.Corrupt[0]
			if p.Path != filepath.Join(dir, c.want.file) || p.Line != c.want.line || !strings.Contains(p.Error, c.want.text) {
				t.Errorf("%s:%d: %s\nwant %s:%d: %s", p.Path, p.Line, p.Error, c.want.file, c.want.line, c.want.text)
			}
		})
	}
}

func TestUnusableBoxSets(t *testing.T) {
	for name, c := range map[string]struct {
		format string
		change func(t *testing.T, dir string)
		kind   Kind
		text   string
	}{
		"empty":    {"coco", func(t *testing.T, dir string) { _ = os.RemoveAll(dir); _ = os.Mkdir(dir, 0o755) }, WrongFolder, "has no COCO labels"},
		"no names": {"yolo", func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "data.yaml")) }, WrongFolder, "nothing names its classes"},
		"wrong count": {"yolo", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "data.yaml"), "train: images/train\nval: images/val\nnc: 3\nnames: [cat, dog]\n")
		}, WrongFolder, "nc = 3 and names has 2"},
		"gap in names": {"yolo", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "data.yaml"), "train: images/train\nval: images/val\nnames: {0: cat, 2: dog}\n")
		}, WrongFolder, "none with the index 1"},
		"no folder": {"yolo", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "data.yaml"), "train: images/trian\nval: images/val\nnames: [cat, dog]\n")
		}, NotFound, `data.yaml:1: train names "images/trian", which is not there`},
		"empty class": {"yolo", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "data.yaml"), "train: images/train\nval: images/val\nnames: [cat, dog, owl]\n")
		}, EmptyClass, `class "owl" has no box in train`},
		"no val": {"yolo", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "data.yaml"), "train: images/train\nnames: [cat, dog]\n")
		}, MissingSplit, "it has no val images"},
		"broken json": {"coco", func(t *testing.T, dir string) {
			text(t, filepath.Join(dir, "annotations/instances_train.json"), "{\"images\": [],\n\"annotations\": [}\n")
		}, Unreadable, "instances_train.json:2: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := cells(t)
			c.change(t, dir)
			_, err := new(Catalog).Inspect(t.Context(), detection(c.format, dir))
			var problem *Error
			if !errors.As(err, &problem) || problem.Kind != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, want %s with %q", err, c.kind, c.text)
			}
		})
	}
}

func TestBoxesAreDividedAndJoined(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		picture(t, filepath.Join(dir, "JPEGImages", fmt.Sprintf("%d.png", i)), 30, 30, i+1)
		text(t, filepath.Join(dir, "Annotations", fmt.Sprintf("%d.xml", i)),
			fmt.Sprintf("<annotation><object><name>%s</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>", []string{"cat", "dog"}[i%2]))
	}
	c := new(Catalog)
	spec := detection("voc", dir)
	if _, err := c.Inspect(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "say how to divide them") {
		t.Errorf("images without splits: %v", err)
	}
	spec.Split = &pipelines.Split{Train: 0.6, Val: 0.2, Test: 0.2, Seed: 1, Stratify: true}
	index, err := c.Index(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, d := len(index.Splits["train"]), len(index.Splits["val"]), len(index.Splits["test"]); a != 6 || b != 2 || d != 2 {
		t.Errorf("divided %d, %d, %d", a, b, d)
	}
	again, err := c.Index(t.Context(), spec)
	if err != nil || again.Fingerprint != index.Fingerprint {
		t.Errorf("divided differently: %s, %s (%v)", index.Fingerprint, again.Fingerprint, err)
	}
	text(t, filepath.Join(dir, "ImageSets/Main/train.txt"), "0\n1\n2\n3 1\n")
	text(t, filepath.Join(dir, "ImageSets/Main/val.txt"), "4\n5\n")
	listed, err := c.Index(t.Context(), detection("voc", dir))
	if err != nil || len(listed.Splits["train"]) != 4 || len(listed.Splits["val"]) != 2 {
		t.Errorf("by lists: %d and %d (%v)", len(listed.Splits["train"]), len(listed.Splits["val"]), err)
	}
	joined := pipelines.DatasetSpec{Name: "both", Union: []pipelines.DatasetSpec{detection("yolo", cells(t)), spec}}
	r, err := c.Inspect(t.Context(), joined)
	if err != nil || r.Images != 15 || r.Boxes["train"]["cat"] != 5 {
		t.Errorf("joined: %d images, boxes %v (%v)", r.Images, r.Boxes, err)
	}
}

// Real photographs with three label styles: one set, one fingerprint.
func TestBCCD(t *testing.T) {
	archive := filepath.Join(os.Getenv("RUNNER_TEST_DATA"), "bccd.tar.gz")
	if _, err := os.Stat(archive); os.Getenv("RUNNER_TEST_DATA") == "" || err != nil {
		t.Skip("RUNNER_TEST_DATA has no bccd.tar.gz")
	}
	dir := t.TempDir()
	if out, err := exec.Command("tar", "xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fingerprints := map[string][]string{}
	c := new(Catalog)
	for _, format := range []string{"coco", "yolo", "voc"} {
		r, err := c.Inspect(t.Context(), detection(format, filepath.Join(dir, "bccd")))
		if err != nil {
			t.Fatal(err)
		}
		boxes := 0
		for _, classes := range r.Boxes {
			for _, n := range classes {
				boxes += n
			}
		}
		t.Logf("%s: %d images, %d boxes, %d problems, %s", format, r.Images, boxes, len(r.Corrupt), r.Fingerprint)
		if r.Images != 292 {
			t.Errorf("%s: %d images, want 292", format, r.Images)
		}
		for _, p := range r.Corrupt {
			t.Logf("%s:%d: %s", p.Path, p.Line, p.Error)
		}
		fingerprints[r.Fingerprint] = append(fingerprints[r.Fingerprint], format)
	}
	if len(fingerprints) != 1 {
		t.Errorf("the styles differ: %v", fingerprints)
	}
}
