package datasets

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trainwright/trainwright/pipelines"
)

// Conversion is what Convert did.
type Conversion struct {
	Path        string   `json:"path"`
	Format      string   `json:"format"`
	Images      int      `json:"images"`
	Boxes       int      `json:"boxes"`
	Fingerprint string   `json:"fingerprint"`
	Lost        []string `json:"lost,omitempty"` // what the label style cannot say
}

// Convert writes the dataset of spec, splits and all, into dir in another label
// style: copies of the images and their labels. Read again, it has the same
// fingerprint, unless something was lost. dir must be empty or not be there.
func (c *Catalog) Convert(ctx context.Context, spec pipelines.DatasetSpec, dir, to string) (Conversion, error) {
	done := Conversion{Path: dir, Format: to}
	target, err := boxFormat(spec, to)
	if err != nil {
		return done, err
	}
	if f, err := lookupFormat(spec); err != nil {
		return done, err
	} else if f.labels == nil {
		return done, fault(Unavailable, spec, Error{}, "format %q has no boxes; coco, yolo and voc convert among each other", formatOf(spec))
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return done, pipelines.Errorf(pipelines.CodeConflict, "%s is not empty; choose another folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	index, report, err := c.look(ctx, spec)
	if err != nil {
		return done, err
	}
	names, err := copyImages(ctx, dir, target.name, index)
	if err != nil {
		return done, err
	}
	if err := target.write(dir, index, names); err != nil {
		return done, err
	}
	done.Images, done.Lost = report.Images, lost(target.name, index)
	for _, classes := range report.Boxes {
		for _, n := range classes {
			done.Boxes += n
		}
	}
	_, after, err := c.look(ctx, pipelines.DatasetSpec{Name: spec.Name, Format: to, Path: dir})
	if err != nil {
		return done, fmt.Errorf("reading the converted dataset: %w", err)
	}
	done.Fingerprint = after.Fingerprint
	if after.Fingerprint != report.Fingerprint && len(done.Lost) == 0 {
		return done, pipelines.Errorf(pipelines.CodeInternal, "%s reads back differently (fingerprint %s, was %s)", dir, after.Fingerprint, report.Fingerprint)
	}
	return done, nil
}

// WriteLabels writes an index in a label style into dir. Its images must lie
// in dir already, at ImagePath.
func WriteLabels(dir, to string, index pipelines.DatasetIndex) error {
	target, err := boxFormat(pipelines.DatasetSpec{}, to)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, samples := range index.Splits {
		for _, s := range samples {
			names[s.Path] = filepath.Base(s.Path)
		}
	}
	return target.write(dir, index, names)
}

// ImagePath is where an image of a split lies in a dataset that this package writes.
func ImagePath(dir, format, split, name string) string {
	if format == "voc" {
		return filepath.Join(dir, "JPEGImages", split, name)
	}
	return filepath.Join(dir, "images", split, name)
}

func boxFormat(spec pipelines.DatasetSpec, name string) (format, error) {
	var known []string
	for _, f := range formats {
		if f.write == nil {
			continue
		}
		if f.name == name {
			return f, nil
		}
		known = append(known, f.name)
	}
	return format{}, fault(Unavailable, spec, Error{}, "boxes cannot be written as %q%s; there are %s", name, didYouMean(name, known), strings.Join(known, ", "))
}

// copyImages copies every image to its place; names are by source path.
func copyImages(ctx context.Context, dir, to string, index pipelines.DatasetIndex) (map[string]string, error) {
	names := map[string]string{}
	for split, samples := range index.Splits {
		taken := map[string]string{}
		for _, s := range samples {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			name := filepath.Base(s.Path)
			stem := strings.TrimSuffix(name, filepath.Ext(name))
			if other, ok := taken[stem]; ok {
				return nil, pipelines.Errorf(pipelines.CodeConflict, "%s and %s would have one name in %s; rename one", other, s.Path, dir)
			}
			taken[stem] = s.Path
			if err := copyFile(s.Path, ImagePath(dir, to, split, name)); err != nil {
				return nil, err
			}
			names[s.Path] = name
		}
	}
	return names, nil
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// lost is what the label style has no place for.
func lost(to string, index pipelines.DatasetIndex) []string {
	var polygons, parts, points, crowds int
	for _, samples := range index.Splits {
		for _, s := range samples {
			for _, b := range s.Boxes {
				if len(b.Polygons) > 0 {
					polygons++
				}
				if len(b.Polygons) != 1 {
					parts++
				}
				if len(b.Keypoints) > 0 {
					points++
				}
				if b.Crowd {
					crowds++
				}
			}
		}
	}
	var out []string
	say := func(n int, what string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, what))
		}
	}
	switch to {
	case "voc":
		say(polygons, "outlines")
		say(points, "objects' keypoints")
		say(crowds, "crowd marks")
	case "yolo":
		if polygons > 0 && (parts > 0 || index.Keypoints != nil) {
			say(polygons, "outlines (a line is an outline or a box, and not every object has just one outline)")
		}
		say(crowds, "crowd marks")
	}
	return out
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return err
	}
	return writeText(path, string(text)+"\n")
}

func writeText(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// writeCOCO writes annotations/instances_SPLIT.json beside images/SPLIT.
func writeCOCO(dir string, index pipelines.DatasetIndex, names map[string]string) error {
	type object = map[string]any
	var categories []object
	for i, class := range index.Classes {
		c := object{"id": i + 1, "name": class}
		if k := index.Keypoints; k != nil {
			var points []string
			for p := range k.Count {
				points = append(points, "point_"+strconv.Itoa(p+1))
			}
			c["keypoints"] = points
			if len(k.Flip) > 0 {
				c["flip_idx"] = k.Flip
			}
		}
		categories = append(categories, c)
	}
	for split, samples := range index.Splits {
		images, annotations := []object{}, []object{}
		for i, s := range samples {
			images = append(images, object{"id": i + 1, "file_name": names[s.Path], "width": s.Width, "height": s.Height})
			for _, b := range s.Boxes {
				a := object{"id": len(annotations) + 1, "image_id": i + 1, "category_id": b.Label + 1, "bbox": b.Rect, "area": b.Rect[2] * b.Rect[3], "iscrowd": 0}
				if b.Crowd {
					a["iscrowd"] = 1
				}
				if len(b.Polygons) > 0 {
					a["segmentation"] = b.Polygons
				}
				if len(b.Keypoints) > 0 {
					a["keypoints"] = b.Keypoints
				}
				annotations = append(annotations, a)
			}
		}
		if err := writeJSON(filepath.Join(dir, "annotations", "instances_"+split+".json"), object{"images": images, "annotations": annotations, "categories": categories}); err != nil {
			return err
		}
	}
	return nil
}

// writeYOLO writes data.yaml and labels/SPLIT beside images/SPLIT. Objects are
// outlines where each has exactly one, else boxes.
func writeYOLO(dir string, index pipelines.DatasetIndex, names map[string]string) error {
	outlines := index.Keypoints == nil
	for _, samples := range index.Splits {
		for _, s := range samples {
			outlines = outlines && !slices.ContainsFunc(s.Boxes, func(b pipelines.Box) bool { return len(b.Polygons) != 1 })
		}
	}
	config := yaml.Node{Kind: yaml.MappingNode}
	set := func(key string, value any) error {
		var k, v yaml.Node
		if err := errors.Join(k.Encode(key), v.Encode(value)); err != nil {
			return err
		}
		v.Style = yaml.FlowStyle
		config.Content = append(config.Content, &k, &v)
		return nil
	}
	err := set("path", ".")
	for _, split := range splitNames {
		samples, ok := index.Splits[split]
		if !ok {
			continue
		}
		err = errors.Join(err, set(split, "images/"+split))
		for _, s := range samples {
			stem := strings.TrimSuffix(names[s.Path], filepath.Ext(names[s.Path]))
			if err := writeText(filepath.Join(dir, "labels", split, stem+".txt"), yoloText(s, outlines, index.Keypoints)); err != nil {
				return err
			}
		}
	}
	err = errors.Join(err, set("names", index.Classes))
	if k := index.Keypoints; k != nil {
		err = errors.Join(err, set("kpt_shape", []int{k.Count, 3}))
		if len(k.Flip) > 0 {
			err = errors.Join(err, set("flip_idx", k.Flip))
		}
	}
	text, yamlErr := yaml.Marshal(&config)
	if err = errors.Join(err, yamlErr); err != nil {
		return err
	}
	return writeText(filepath.Join(dir, "data.yaml"), string(text))
}

func yoloText(s pipelines.Sample, outlines bool, k *pipelines.Keypoints) string {
	var out strings.Builder
	width, height := float64(s.Width), float64(s.Height)
	number := func(v float64) { out.WriteString(" " + strconv.FormatFloat(v, 'f', 10, 64)) }
	for _, b := range s.Boxes {
		if b.Crowd {
			continue // YOLO would learn a region as one object
		}
		out.WriteString(strconv.Itoa(b.Label))
		if outlines {
			for i, v := range b.Polygons[0] {
				number(v / []float64{width, height}[i%2])
			}
		} else {
			number((b.Rect[0] + b.Rect[2]/2) / width)
			number((b.Rect[1] + b.Rect[3]/2) / height)
			number(b.Rect[2] / width)
			number(b.Rect[3] / height)
		}
		if k != nil {
			for i := range 3 * k.Count {
				if i >= len(b.Keypoints) {
					number(0)
				} else {
					number(b.Keypoints[i] / []float64{width, height, 1}[i%3])
				}
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}

// writeVOC writes Annotations/SPLIT and classes.txt beside JPEGImages/SPLIT.
// Edges that are no whole pixels keep their fraction.
func writeVOC(dir string, index pipelines.DatasetIndex, names map[string]string) error {
	type edges struct {
		XMin float64 `xml:"xmin"`
		YMin float64 `xml:"ymin"`
		XMax float64 `xml:"xmax"`
		YMax float64 `xml:"ymax"`
	}
	type object struct {
		Name      string `xml:"name"`
		Truncated int    `xml:"truncated"`
		Difficult int    `xml:"difficult"`
		Box       edges  `xml:"bndbox"`
	}
	type size struct {
		Width  int `xml:"width"`
		Height int `xml:"height"`
		Depth  int `xml:"depth"`
	}
	type annotation struct {
		XMLName xml.Name `xml:"annotation"`
		Folder  string   `xml:"folder"`
		File    string   `xml:"filename"`
		Size    size     `xml:"size"`
		Objects []object `xml:"object"`
	}
	for split, samples := range index.Splits {
		for _, s := range samples {
			a := annotation{Folder: "JPEGImages/" + split, File: names[s.Path], Size: size{s.Width, s.Height, 3}}
			for _, b := range s.Boxes {
				r := b.Rect
				a.Objects = append(a.Objects, object{Name: index.Classes[b.Label], Box: edges{r[0], r[1], r[0] + r[2], r[1] + r[3]}})
			}
			text, err := xml.MarshalIndent(a, "", "  ")
			if err != nil {
				return err
			}
			stem := strings.TrimSuffix(names[s.Path], filepath.Ext(names[s.Path]))
			if err := writeText(filepath.Join(dir, "Annotations", split, stem+".xml"), string(text)+"\n"); err != nil {
				return err
			}
		}
	}
	return writeText(filepath.Join(dir, "classes.txt"), strings.Join(index.Classes, "\n")+"\n")
}
