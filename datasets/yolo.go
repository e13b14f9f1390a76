package datasets

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/trainwright/trainwright/pipelines"
)

// yoloData is data.yaml. Splits are folders of images, files that list images,
// or lists of these, relative to path.
type yoloData struct {
	Path     string    `yaml:"path"`
	Train    yaml.Node `yaml:"train"`
	Val      yaml.Node `yaml:"val"`
	Test     yaml.Node `yaml:"test"`
	Names    yaml.Node `yaml:"names"`
	Count    int       `yaml:"nc"`
	KptShape []int     `yaml:"kpt_shape"`
	FlipIdx  []int     `yaml:"flip_idx"`
}

// readYOLO reads data.yaml (or dataset.yaml), or without one images/SPLIT and
// labels/SPLIT, or SPLIT/images and SPLIT/labels, with the class names a line
// each in classes.txt. An image's labels stand under the same path with labels
// for images and .txt; without that file the image is background. A line is a
// class and a box (centre, width, height), a box and keypoints, or an outline,
// all as shares of the image.
func readYOLO(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error) {
	y := yoloReader{labels: &labels{}, spec: spec}
	sources := map[string][]string{}
	config := ""
	if spec.Path != "" {
		config = firstFile(filepath.Join(spec.Path, "data.yaml"), filepath.Join(spec.Path, "data.yml"), filepath.Join(spec.Path, "dataset.yaml"))
	}
	var err error
	if config != "" {
		sources, err = y.config(config)
	} else {
		err = y.names()
		if len(spec.Paths) == 0 {
			sources = yoloFolders(spec.Path)
		}
	}
	if err != nil {
		return nil, err
	}
	for split, p := range spec.Paths {
		sources[split] = []string{p}
	}
	if len(sources) == 0 {
		return nil, fault(WrongFolder, spec, Error{Path: spec.Path}, "%s has neither data.yaml nor images/train and labels/train%s", spec.Path, hint(spec.Path))
	}
	for _, split := range append([]string{""}, splitNames...) {
		for _, source := range sources[split] {
			if err := y.split(ctx, split, source); err != nil {
				return nil, err
			}
		}
	}
	return y.labels, nil
}

type yoloReader struct {
	*labels
	spec pipelines.DatasetSpec
	dims int // numbers of a keypoint, 2 or 3
}

func (y *yoloReader) config(path string) (map[string][]string, error) {
	text, err := os.ReadFile(path)
	var data yoloData
	if err == nil {
		err = yaml.Unmarshal(text, &data)
	}
	if err != nil {
		return nil, fault(Unreadable, y.spec, Error{Path: path}, "%s: %w", path, err)
	}
	if y.classes, err = yoloNames(data.Names); err != nil {
		return nil, fault(WrongFolder, y.spec, Error{Path: path}, "%s:%d: %w", path, data.Names.Line, err)
	}
	if data.Count > 0 && data.Count != len(y.classes) {
		return nil, fault(WrongFolder, y.spec, Error{Path: path}, "%s: nc = %d and names has %d", path, data.Count, len(y.classes))
	}
	if len(data.KptShape) > 0 {
		if len(data.KptShape) != 2 || data.KptShape[0] < 1 || data.KptShape[1] < 2 || data.KptShape[1] > 3 {
			return nil, fault(WrongFolder, y.spec, Error{Path: path}, "%s: kpt_shape is %v; wanted [points, 2 or 3]", path, data.KptShape)
		}
		y.keypoints, y.dims = &pipelines.Keypoints{Count: data.KptShape[0], Flip: data.FlipIdx}, data.KptShape[1]
	}
	// A path that is relative, or from the machine where the set was made, counts from the file.
	root := filepath.Dir(path)
	if p := filepath.Join(root, data.Path); data.Path != "" && !filepath.IsAbs(data.Path) && isDir(p) {
		root = p
	} else if filepath.IsAbs(data.Path) && isDir(data.Path) {
		root = data.Path
	}
	out := map[string][]string{}
	for split, node := range map[string]yaml.Node{"train": data.Train, "val": data.Val, "test": data.Test} {
		var many []string
		if node.Decode(&many) != nil || many == nil {
			var one string
			if node.Decode(&one) != nil || one == "" {
				continue
			}
			many = []string{one}
		}
		for _, p := range many {
			found := p
			if !filepath.IsAbs(p) {
				found = filepath.Join(root, p)
				if _, err := os.Stat(found); err != nil { // "../train/images" of an exported set means its own folder
					found = filepath.Join(root, strings.TrimPrefix(filepath.ToSlash(p), "../"))
				}
			}
			if _, err := os.Stat(found); err != nil {
				if split == "test" {
					continue // often named and not delivered
				}
				return nil, fault(NotFound, y.spec, Error{Path: found, Split: split}, "%s:%d: %s names %q, which is not there", path, node.Line, split, p)
			}
			out[split] = append(out[split], found)
		}
	}
	return out, nil
}

// yoloNames takes a list of names, or a map from index to name.
func yoloNames(node yaml.Node) ([]string, error) {
	var list []string
	if node.Decode(&list) == nil && len(list) > 0 {
		return list, nil
	}
	var byIndex map[int]string
	if err := node.Decode(&byIndex); err != nil || len(byIndex) == 0 {
		return nil, fmt.Errorf("names must list the classes, as a list or as a map from index to name")
	}
	list = make([]string, len(byIndex))
	for i := range list {
		name, ok := byIndex[i]
		if !ok {
			return nil, fmt.Errorf("names has %d classes and none with the index %d", len(byIndex), i)
		}
		list[i] = name
	}
	return list, nil
}

// names reads classes.txt beside the folders.
func (y *yoloReader) names() error {
	roots := []string{y.spec.Path, filepath.Join(y.spec.Path, "labels")}
	for _, p := range y.spec.Paths {
		roots = append(roots, p, filepath.Dir(p), filepath.Dir(filepath.Dir(p)))
	}
	for _, root := range roots {
		if text, err := os.ReadFile(filepath.Join(root, "classes.txt")); root != "" && err == nil {
			y.classes = lines(string(text))
			return nil
		}
	}
	if len(y.spec.Classes) > 0 {
		y.classes = slices.Clone(y.spec.Classes)
		return nil
	}
	return fault(WrongFolder, y.spec, Error{Path: y.spec.Path}, "nothing names its classes; write data.yaml, classes.txt (a name a line), or classes = […]")
}

func lines(text string) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func yoloFolders(root string) map[string][]string {
	out := map[string][]string{}
	for _, split := range splitNames {
		for _, alias := range splitAliases[split] {
			for _, p := range []string{filepath.Join(root, "images", alias), filepath.Join(root, alias, "images")} {
				if isDir(p) && out[split] == nil {
					out[split] = []string{p}
				}
			}
		}
	}
	if len(out) == 0 && isDir(filepath.Join(root, "images")) {
		out[""] = []string{filepath.Join(root, "images")}
	}
	return out
}

// split reads the images of a folder or of a list, and their labels.
func (y *yoloReader) split(ctx context.Context, split, source string) error {
	var images []string
	if isFile(source) {
		text, err := os.ReadFile(source)
		if err != nil {
			return fault(Unreadable, y.spec, Error{Path: source, Split: split}, "%w", err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			if p := imageNear(line, []string{filepath.Dir(source)}); p != "" {
				images = append(images, p)
			} else {
				y.problem(fileMissing, source, i+1, "%q is not there", line)
			}
		}
	} else {
		err := filepath.WalkDir(source, func(p string, e fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return cmpErr(err, ctx.Err())
			}
			if hidden(e.Name()) && p != source {
				if e.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			if !e.IsDir() && isImageName(e.Name()) {
				images = append(images, p)
			}
			return nil
		})
		if err != nil {
			return fault(Unreadable, y.spec, Error{Path: source, Split: split}, "%w", err)
		}
	}
	known := map[string]bool{}
	folders := map[string]bool{}
	for _, image := range images {
		label := yoloLabelFile(image)
		known[label], folders[filepath.Dir(label)] = true, true
		marks, err := y.read(label)
		if err != nil {
			return fault(Unreadable, y.spec, Error{Path: label, Split: split}, "%w", err)
		}
		y.images = append(y.images, labelled{path: image, split: split, marks: marks})
	}
	if isFile(source) {
		return nil // a list may leave images out
	}
	for folder := range folders {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			p := filepath.Join(folder, e.Name())
			if filepath.Ext(p) == ".txt" && e.Name() != "classes.txt" && !hidden(e.Name()) && !known[p] {
				y.problem(fileMissing, p, 1, "there is no image of this name in %s", source)
			}
		}
	}
	return nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// yoloLabelFile is where the labels of an image stand.
func yoloLabelFile(image string) string {
	p := filepath.ToSlash(image)
	if i := strings.LastIndex(p, "/images/"); i >= 0 {
		p = p[:i] + "/labels/" + p[i+len("/images/"):]
	}
	return filepath.FromSlash(strings.TrimSuffix(p, filepath.Ext(p)) + ".txt")
}

func (y *yoloReader) read(path string) ([]mark, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var marks []mark
	seen := map[string]int{}
	for i, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if first, twice := seen[line]; twice {
			y.problem(fileAnnotation, path, i+1, "the same object as in line %d", first)
			continue
		}
		seen[line] = i + 1
		m, problem := y.parse(strings.Fields(line))
		if problem != "" {
			y.problem(fileAnnotation, path, i+1, "%s", problem)
			continue
		}
		m.file, m.line, m.shares = path, i+1, true
		marks = append(marks, m)
	}
	return marks, nil
}

func (y *yoloReader) parse(fields []string) (m mark, problem string) {
	values := make([]float64, len(fields))
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return m, fmt.Sprintf("%q is no number", f)
		}
		values[i] = v
	}
	class := int(values[0])
	if float64(class) != values[0] || class < 0 || class >= len(y.classes) {
		return m, fmt.Sprintf("class %s is out of range: there are %d classes, 0 to %d", fields[0], len(y.classes), len(y.classes)-1)
	}
	m.class = y.classes[class]
	rest := values[1:]
	switch {
	case len(rest) == 4 || (y.keypoints != nil && len(rest) == 4+y.keypoints.Count*y.dims):
		m.box.Rect = [4]float64{rest[0] - rest[2]/2, rest[1] - rest[3]/2, rest[2], rest[3]}
		for i := 4; i < len(rest); i += y.dims {
			visible := 2.0
			if y.dims == 3 {
				visible = rest[i+2]
			}
			m.box.Keypoints = append(m.box.Keypoints, rest[i], rest[i+1], visible)
		}
	case len(rest) >= 6 && len(rest)%2 == 0 && y.keypoints == nil:
		m.box.Polygons = [][]float64{rest}
		m.box.Rect = bounds(rest)
	default:
		return m, fmt.Sprintf("%d numbers after the class; wanted a box (4), or an outline (6 or more, even)%s", len(rest), y.wantedPoints())
	}
	return m, ""
}

func (y *yoloReader) wantedPoints() string {
	if y.keypoints == nil {
		return ""
	}
	return fmt.Sprintf(", or a box and %d keypoints of %d numbers", y.keypoints.Count, y.dims)
}

// bounds is the box around an outline.
func bounds(p []float64) [4]float64 {
	x0, y0, x1, y1 := p[0], p[1], p[0], p[1]
	for i := 0; i+1 < len(p); i += 2 {
		x0, x1 = min(x0, p[i]), max(x1, p[i])
		y0, y1 = min(y0, p[i+1]), max(y1, p[i+1])
	}
	return [4]float64{x0, y0, x1 - x0, y1 - y0}
}
