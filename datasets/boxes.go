package datasets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// labels are what a label style says of a detection dataset.
type labels struct {
	classes   []string // in the order of their indices
	images    []labelled
	problems  []pipelines.FileProblem
	keypoints *pipelines.Keypoints
}

// labelled is an image and its objects.
type labelled struct {
	path  string // absolute
	split string // "" until a set without splits is divided
	marks []mark
}

// mark is one object, with the place that told of it.
type mark struct {
	class  string
	box    pipelines.Box // its Label is not set yet
	shares bool          // coordinates are shares of the image, not pixels
	file   string
	line   int
	what   string // what to call it in a message: "annotation 12", "" = by line alone
}

func (l *labels) problem(kind, file string, line int, format string, args ...any) {
	l.problems = append(l.problems, pipelines.FileProblem{Path: file, Line: line, Kind: kind, Error: fmt.Sprintf(format, args...)})
}

// lookBoxes is look for images with boxes.
func (c *Catalog) lookBoxes(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, pipelines.DatasetReport, error) {
	report := boxReport{pipelines.DatasetReport{Name: spec.Name, Path: spec.Path, Format: formatOf(spec)}}
	none := pipelines.DatasetIndex{}
	l, err := readLabels(ctx, spec)
	if err != nil {
		return none, report.DatasetReport, err
	}
	if err := l.choose(spec); err != nil {
		return none, report.DatasetReport, err
	}
	files, err := l.files(spec)
	if err != nil {
		return none, report.DatasetReport, err
	}
	facts, err := c.examine(ctx, files)
	if err != nil {
		return none, report.DatasetReport, err
	}
	index := pipelines.DatasetIndex{Name: spec.Name, Format: report.Format, Classes: l.classes, Splits: map[string][]pipelines.Sample{}, Keypoints: l.keypoints}
	report.Classes, report.Corrupt = l.classes, l.problems
	report.Counts, report.Boxes, report.Splits = map[string]map[string]int{}, map[string]map[string]int{}, map[string]int{}
	for _, f := range files {
		report.Splits[f.split] += 0 // a split of which nothing is usable is there too
		if report.Counts[f.split] == nil {
			report.Counts[f.split], report.Boxes[f.split] = map[string]int{}, map[string]int{}
			for _, class := range l.classes {
				report.Counts[f.split][class], report.Boxes[f.split][class] = 0, 0
			}
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "trainwright boxes 1\n%q\n", l.classes)
	for i, f := range files {
		fact := facts[i]
		if fact.Kind != "" {
			report.Corrupt = append(report.Corrupt, pipelines.FileProblem{Path: f.path, Kind: fact.Kind, Error: fact.Problem})
			continue
		}
		sample := pipelines.Sample{Path: f.path, Width: fact.Width, Height: fact.Height}
		sample.Boxes, report.Corrupt = l.fit(l.images[i].marks, fact, report.Corrupt)
		index.Splits[f.split] = append(index.Splits[f.split], sample)
		report.add(f.split, sample, fact)
		hashSample(h, f, sample, fact)
	}
	report.Fingerprint = "sha256:" + hex.EncodeToString(h.Sum(nil))
	index.Fingerprint = report.Fingerprint
	report.Leaks, report.Duplicates = (&survey{files: files, facts: facts}).copies()
	report.Corrupt = oneOfEach(report.Corrupt)
	if problems := checkBoxes(spec, l.classes, report.DatasetReport); len(problems) > 0 {
		return none, report.DatasetReport, errors.Join(problems...)
	}
	return index, report.DatasetReport, nil
}

// boxReport adds images up.
type boxReport struct{ pipelines.DatasetReport }

func (r *boxReport) add(split string, s pipelines.Sample, fact facts) {
	seen := map[int]bool{}
	for _, b := range s.Boxes {
		r.Boxes[split][r.Classes[b.Label]]++
		if !seen[b.Label] {
			r.Counts[split][r.Classes[b.Label]]++
		}
		seen[b.Label] = true
	}
	r.Splits[split]++
	r.Images++
	r.Bytes += fact.Bytes
	size := [2]int{fact.Width, fact.Height}
	if r.Images == 1 {
		r.MinSize, r.MaxSize = size, size
	}
	for d, v := range size {
		r.MinSize[d], r.MaxSize[d] = min(r.MinSize[d], v), max(r.MaxSize[d], v)
	}
}

// choose puts the classes into spec's order and drops objects of others.
func (l *labels) choose(spec pipelines.DatasetSpec) error {
	if len(l.classes) == 0 {
		return fault(NoImages, spec, Error{Path: spec.Path}, "its labels name no class%s", annotationNote(l.problems))
	}
	if len(spec.Classes) == 0 {
		return nil
	}
	var problems []error
	for i, class := range spec.Classes {
		if !slices.Contains(l.classes, class) {
			problems = append(problems, fault(UnknownClass, spec, Error{Class: class}, "classes names %q, which no label has%s; there are %s", class, didYouMean(class, l.classes), someNames(l.classes)))
		}
		if slices.Contains(spec.Classes[:i], class) {
			problems = append(problems, fault(UnknownClass, spec, Error{Class: class}, "classes names %q twice", class))
		}
	}
	for i := range l.images {
		l.images[i].marks = slices.DeleteFunc(l.images[i].marks, func(m mark) bool { return !slices.Contains(spec.Classes, m.class) })
	}
	l.classes = spec.Classes
	return errors.Join(problems...)
}

// files are the images by (split, name), divided where spec says so; l.images
// has the same order.
func (l *labels) files(spec pipelines.DatasetSpec) ([]file, error) {
	whole := newListing()
	at := make(map[string]int, len(l.images))
	for i, image := range l.images {
		f := file{path: image.path, rel: filepath.Base(image.path), split: image.split}
		for _, m := range image.marks { // stratify by the class that stands first in order
			if f.class == "" || m.class < f.class {
				f.class = m.class
			}
		}
		at[image.split+"\x00"+image.path] = i
		whole.files = append(whole.files, f)
	}
	old := func(f file) int {
		if i, ok := at[f.split+"\x00"+f.path]; ok {
			return i
		}
		return at["\x00"+f.path]
	}
	switch divided := slices.ContainsFunc(whole.files, func(f file) bool { return f.split != "" }); {
	case spec.Split != nil && divided:
		return nil, fault(BadSplit, spec, Error{Path: spec.Path}, "its labels have splits already, and split would divide it again; remove split, or use path with the labels of one of them")
	case spec.Split != nil:
		if err := whole.divide(spec); err != nil {
			return nil, err
		}
	case !divided && len(whole.files) > 0:
		return nil, fault(MissingSplit, spec, Error{Path: spec.Path}, "%s has images without splits; say how to divide them: split { train = 0.8, val = 0.2, seed = 1 }", spec.Path)
	}
	slices.SortStableFunc(whole.files, func(a, b file) int {
		return cmp.Or(slices.Index(splitNames, a.split)-slices.Index(splitNames, b.split), strings.Compare(a.rel, b.rel), strings.Compare(a.path, b.path))
	})
	images := make([]labelled, len(whole.files))
	for i, f := range whole.files {
		images[i] = l.images[old(f)]
	}
	l.images = images
	return whole.files, nil
}

// slack is how far, in pixels, a box may reach over the image's edge: labels
// are rounded. It is cut off.
const slack = 1.0

// fit makes boxes of marks, in pixels, sorted; those that cannot be are told.
func (l *labels) fit(marks []mark, fact facts, problems []pipelines.FileProblem) ([]pipelines.Box, []pipelines.FileProblem) {
	var boxes []pipelines.Box
	width, height := float64(fact.Width), float64(fact.Height)
	for _, m := range marks {
		b := m.box
		if m.shares {
			b = scaled(b, width, height)
		}
		say := func(format string, args ...any) {
			problems = append(problems, pipelines.FileProblem{Path: m.file, Line: m.line, Kind: fileAnnotation, Error: m.what + fmt.Sprintf(format, args...)})
		}
		if m.what != "" {
			m.what += ": "
		}
		x, y, w, h := b.Rect[0], b.Rect[1], b.Rect[2], b.Rect[3]
		switch {
		case !finite(b):
			say("a coordinate is not a number")
			continue
		case !(w > 0) || !(h > 0):
			say("the box has no area: %s wide, %s high", short(w), short(h))
			continue
		case x < -slack || y < -slack || x+w > width+slack || y+h > height+slack:
			say("the box from (%s, %s) to (%s, %s) reaches outside the image of %d x %d pixels", short(x), short(y), short(x+w), short(y+h), fact.Width, fact.Height)
			continue
		}
		left, top := max(x, 0), max(y, 0)
		b.Rect = [4]float64{left, top, min(x+w, width) - left, min(y+h, height) - top}
		b.Label = slices.Index(l.classes, m.class)
		boxes = append(boxes, b)
	}
	slices.SortStableFunc(boxes, func(a, b pipelines.Box) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), slices.Compare(grid(a.Rect[:]), grid(b.Rect[:])))
	})
	return boxes, problems
}

func scaled(b pipelines.Box, width, height float64) pipelines.Box {
	b.Rect = [4]float64{b.Rect[0] * width, b.Rect[1] * height, b.Rect[2] * width, b.Rect[3] * height}
	for _, p := range b.Polygons {
		for i := range p {
			p[i] *= []float64{width, height}[i%2]
		}
	}
	for i := range b.Keypoints {
		b.Keypoints[i] *= []float64{width, height, 1}[i%3]
	}
	return b
}

func finite(b pipelines.Box) bool {
	all := slices.Concat(append([][]float64{b.Rect[:], b.Keypoints}, b.Polygons...)...)
	return !slices.ContainsFunc(all, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

func short(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// grid puts coordinates on a grid of quarter pixels, so that a label style that
// keeps six digits of a share gives what whole pixels give. The offset keeps
// common fractions away from the grid's edges.
func grid(values []float64) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(math.Floor(v*4 + 0.3183))
	}
	return out
}

// hashSample adds what training sees of an image, whatever its labels looked
// like on disk: split, name, content, and its objects.
func hashSample(h hash.Hash, f file, s pipelines.Sample, fact facts) {
	fmt.Fprintf(h, "%s %q %x\n", f.split, f.rel, fact.SHA256)
	for _, b := range s.Boxes {
		fmt.Fprintf(h, " %d %v %t", b.Label, grid(b.Rect[:]), b.Crowd)
		for _, p := range b.Polygons {
			fmt.Fprintf(h, " s%v", grid(p))
		}
		fmt.Fprintf(h, " k%v\n", grid(b.Keypoints))
	}
}

// checkBoxes looks for classes that cannot be learnt or measured.
func checkBoxes(spec pipelines.DatasetSpec, classes []string, r pipelines.DatasetReport) []error {
	if r.Images == 0 {
		return []error{fault(NoImages, spec, Error{Path: spec.Path}, "it has no usable images (JPEG, PNG, GIF, BMP, WebP)%s", corruptNote(r.Corrupt))}
	}
	var problems []error
	for _, split := range []string{"train", "val"} {
		if r.Counts[split] == nil {
			problems = append(problems, fault(MissingSplit, spec, Error{Path: spec.Path, Split: split}, "it has no %s images; there are %s", split, someNames(slices.Sorted(maps.Keys(r.Counts)))))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	for _, class := range classes {
		if r.Boxes["train"][class] == 0 {
			problems = append(problems, fault(EmptyClass, spec, Error{Split: "train", Class: class}, "class %q has no box in train; add some, or leave it out with classes%s", class, annotationNote(r.Corrupt)))
		}
	}
	return problems
}

// annotationNote tells of bad labels, which may be why something is missing.
func annotationNote(problems []pipelines.FileProblem) string {
	for _, p := range problems {
		if p.Kind == fileAnnotation || p.Kind == fileMissing {
			return fmt.Sprintf("; %d labels cannot be used, the first is %s:%d: %s", len(problems), p.Path, p.Line, p.Error)
		}
	}
	return ""
}

// oneOfEach drops what was told twice.
func oneOfEach(problems []pipelines.FileProblem) []pipelines.FileProblem {
	seen := map[pipelines.FileProblem]bool{}
	return slices.DeleteFunc(problems, func(p pipelines.FileProblem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// readLabels reads a dataset's labels: of its union, or by its format.
func readLabels(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error) {
	spec = absolute(spec)
	if len(spec.Transforms) > 0 {
		return nil, transformsUnavailable(spec)
	}
	if len(spec.Union) > 0 {
		return joinLabels(ctx, spec)
	}
	f, err := lookupFormat(spec)
	if err != nil {
		return nil, err
	}
	if len(spec.Paths) == 0 {
		if err := checkFolder(spec, spec.Path); err != nil {
			return nil, err
		}
	}
	for split := range spec.Paths {
		if !slices.Contains(splitNames, split) {
			return nil, fault(UnknownSplit, spec, Error{Split: split}, "paths has an unknown split %q%s; splits are train, val and test", split, didYouMean(split, splitNames))
		}
	}
	return f.labels(ctx, spec)
}

// joinLabels joins the members of a union; classes keep the order in which
// they are first told.
func joinLabels(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error) {
	if spec.Path != "" || len(spec.Paths) > 0 || spec.Split != nil {
		return nil, unionBeside(spec)
	}
	all := &labels{}
	for i, member := range spec.Union {
		l, err := readLabels(ctx, member)
		if err != nil {
			return nil, err
		}
		if err := l.choose(member); err != nil {
			return nil, err
		}
		files, err := l.files(member)
		if err != nil {
			return nil, err
		}
		for at, f := range files {
			l.images[at].split = f.split
		}
		if i > 0 && !sameKeypoints(all.keypoints, l.keypoints) {
			return nil, fault(WrongFolder, spec, Error{}, "its members have different keypoints; join only datasets with the same points")
		}
		all.keypoints = l.keypoints
		for _, class := range l.classes {
			if !slices.Contains(all.classes, class) {
				all.classes = append(all.classes, class)
			}
		}
		all.images = append(all.images, l.images...)
		all.problems = append(all.problems, l.problems...)
	}
	return all, nil
}

func sameKeypoints(a, b *pipelines.Keypoints) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Count == b.Count && slices.Equal(a.Flip, b.Flip)
}
