package datasets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// readCOCO reads a JSON file per split: ROOT/annotations/{instances_,person_keypoints_,}SPLIT.json,
// ROOT/coco/SPLIT.json, ROOT/SPLIT.json or ROOT/SPLIT/_annotations.coco.json, with train2017 and
// the like for SPLIT; paths names the files themselves. Images lie beside the file, in
// ROOT/images[/SPLIT] or in ROOT/SPLIT. Labels count by rising category id.
func readCOCO(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error) {
	found := map[string]string{}
	if len(spec.Paths) > 0 {
		for split, p := range spec.Paths {
			if isDir(p) {
				p = filepath.Join(p, "_annotations.coco.json")
			}
			if !isFile(p) {
				return nil, fault(NotFound, spec, Error{Path: p, Split: split}, "%s is not there; paths of a coco dataset name the JSON file of each split", p)
			}
			found[split] = p
		}
	} else {
		for _, split := range splitNames {
			if p := cocoFile(spec.Path, split); p != "" {
				found[split] = p
			}
		}
		if len(found) == 0 {
			whole := firstFile(filepath.Join(spec.Path, "annotations.json"), filepath.Join(spec.Path, "_annotations.coco.json"),
				filepath.Join(spec.Path, "annotations", "instances.json"), filepath.Join(spec.Path, "instances.json"))
			if whole == "" {
				return nil, fault(WrongFolder, spec, Error{Path: spec.Path}, "%s has no COCO labels; wanted annotations/instances_train.json and annotations/instances_val.json, or paths = { train = \"…json\", val = \"…json\" }%s", spec.Path, hint(spec.Path))
			}
			found[""] = whole
		}
	}
	l := &labels{}
	for _, split := range append([]string{""}, splitNames...) {
		path, ok := found[split]
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fault(Unreadable, spec, Error{Path: path, Split: split}, "%w", err)
		}
		root := spec.Path
		if root == "" {
			root = filepath.Dir(filepath.Dir(path))
		}
		c := cocoFileReader{labels: l, path: path, split: split, folders: imageFolders(root, filepath.Dir(path), split), text: newLineCount(data)}
		if err := c.read(data); err != nil {
			return nil, fault(Unreadable, spec, Error{Path: path, Split: split}, "%s: %w", c.at(err), err)
		}
	}
	return l, nil
}

func cocoFile(root, split string) string {
	for _, alias := range splitAliases[split] {
		for _, name := range []string{"annotations/instances_%s.json", "annotations/person_keypoints_%s.json", "annotations/%s.json", "coco/%s.json", "%s.json", "%s/_annotations.coco.json"} {
			if p := filepath.Join(root, filepath.FromSlash(fmt.Sprintf(name, alias))); isFile(p) {
				return p
			}
		}
	}
	return ""
}

type cocoImage struct {
	ID   *int64 `json:"id"`
	Name string `json:"file_name"`
}

type cocoCategory struct {
	ID        *int64   `json:"id"`
	Name      string   `json:"name"`
	Keypoints []string `json:"keypoints"`
	Flip      []int    `json:"flip_idx"` // ours: COCO itself does not say it
}

type cocoAnnotation struct {
	ID           *int64          `json:"id"`
	Image        *int64          `json:"image_id"`
	Category     *int64          `json:"category_id"`
	Box          []*float64      `json:"bbox"`
	Segmentation json.RawMessage `json:"segmentation"`
	Keypoints    []*float64      `json:"keypoints"`
	Crowd        int             `json:"iscrowd"`
}

// cocoFileReader reads the file of one split.
type cocoFileReader struct {
	*labels
	path, split string
	folders     []string
	text        lineCount
}

// placed is a record and the line it begins on.
type placed[T any] struct {
	value T
	line  int
}

func (c *cocoFileReader) read(data []byte) error {
	data = plainNumbers(data)
	c.text = newLineCount(data)
	var images []placed[cocoImage]
	var categories []placed[cocoCategory]
	var annotations []placed[cocoAnnotation]
	d := json.NewDecoder(bytes.NewReader(data))
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "images":
			images, err = records[cocoImage](d, c)
		case "categories":
			categories, err = records[cocoCategory](d, c)
		case "annotations":
			annotations, err = records[cocoAnnotation](d, c)
		default:
			var skip json.RawMessage
			err = d.Decode(&skip)
		}
		if err != nil {
			return err
		}
	}
	c.take(images, categories, annotations)
	return nil
}

func expect(d *json.Decoder, delim json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != delim {
		return fmt.Errorf("wanted %q, found %v", delim.String(), t)
	}
	return nil
}

// records decodes an array. One of the wrong shape is told and left out.
func records[T any](d *json.Decoder, c *cocoFileReader) ([]placed[T], error) {
	if err := expect(d, '['); err != nil {
		return nil, err
	}
	var out []placed[T]
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		line := c.text.line(int(d.InputOffset()) - len(raw))
		var value T
		if err := json.Unmarshal(raw, &value); err != nil {
			c.problem(fileAnnotation, c.path, line, "%v", err)
			continue
		}
		out = append(out, placed[T]{value, line})
	}
	_, err := d.Token()
	return out, err
}

func (c *cocoFileReader) take(images []placed[cocoImage], categories []placed[cocoCategory], annotations []placed[cocoAnnotation]) {
	names := map[int64]string{}
	sort.SliceStable(categories, func(i, j int) bool { return idOf(categories[i].value.ID) < idOf(categories[j].value.ID) })
	for _, k := range categories {
		id, taken := k.value.ID, false
		if id != nil {
			_, taken = names[*id]
		}
		switch {
		case id == nil || k.value.Name == "":
			c.problem(fileAnnotation, c.path, k.line, "a category needs an id and a name")
			continue
		case taken:
			c.problem(fileAnnotation, c.path, k.line, "category id %d stands twice (%q and %q)", *id, names[*id], k.value.Name)
			continue
		}
		names[*id] = k.value.Name
		if !slices.Contains(c.classes, k.value.Name) {
			c.classes = append(c.classes, k.value.Name)
		}
		if len(k.value.Keypoints) > 0 {
			c.keypoints = &pipelines.Keypoints{Count: len(k.value.Keypoints), Flip: flipOf(k.value)}
		}
	}
	at, byID := map[int64]int{}, map[int64]bool{}
	for _, i := range images {
		id := i.value.ID
		switch {
		case id == nil || i.value.Name == "":
			c.problem(fileAnnotation, c.path, i.line, "an image needs an id and a file_name")
			continue
		case byID[*id]:
			c.problem(fileAnnotation, c.path, i.line, "image id %d stands twice; the second is %q", *id, i.value.Name)
			continue
		}
		byID[*id] = true
		path := imageNear(i.value.Name, c.folders)
		if path == "" {
			c.problem(fileMissing, c.path, i.line, "image %d, %q, is not there (looked in %s)", *id, i.value.Name, someNames(c.folders[:min(2, len(c.folders))]))
			continue
		}
		at[*id] = len(c.images)
		c.images = append(c.images, labelled{path: path, split: c.split})
	}
	seen := map[int64]bool{}
	for _, a := range annotations {
		v, what := a.value, "an annotation"
		if v.ID != nil {
			what = fmt.Sprintf("annotation %d", *v.ID)
			if seen[*v.ID] {
				c.problem(fileAnnotation, c.path, a.line, "%s: its id stands twice", what)
				continue
			}
			seen[*v.ID] = true
		}
		switch {
		case v.Image == nil || !byID[*v.Image]:
			c.problem(fileAnnotation, c.path, a.line, "%s: image_id %s is no image's", what, idText(v.Image))
			continue
		case v.Category == nil || names[*v.Category] == "":
			c.problem(fileAnnotation, c.path, a.line, "%s: category_id %s is no category's", what, idText(v.Category))
			continue
		case len(v.Box) != 4:
			c.problem(fileAnnotation, c.path, a.line, "%s: bbox has %d numbers; wanted [x, y, width, height]", what, len(v.Box))
			continue
		}
		i, ok := at[*v.Image]
		if !ok {
			continue // its image is missing, which is told
		}
		box := pipelines.Box{Rect: [4]float64(floats(v.Box)), Keypoints: floats(v.Keypoints), Crowd: v.Crowd != 0}
		// Run-length masks are objects or strings, and stay boxes.
		_ = json.Unmarshal(v.Segmentation, &box.Polygons)
		box.Polygons = slices.DeleteFunc(box.Polygons, func(p []float64) bool { return len(p) < 6 || len(p)%2 != 0 })
		if len(box.Polygons) == 0 {
			box.Polygons = nil
		}
		if c.keypoints == nil || len(box.Keypoints) != 3*c.keypoints.Count {
			box.Keypoints = nil
		}
		c.images[i].marks = append(c.images[i].marks, mark{class: names[*v.Category], box: box, file: c.path, line: a.line, what: what})
	}
}

// flipOf are the mirror images of points whose names say left and right.
func flipOf(k cocoCategory) []int {
	if len(k.Flip) == len(k.Keypoints) {
		return k.Flip
	}
	flip := make([]int, len(k.Keypoints))
	for i, name := range k.Keypoints {
		other := name
		switch {
		case strings.Contains(name, "left"):
			other = strings.ReplaceAll(name, "left", "right")
		case strings.Contains(name, "right"):
			other = strings.ReplaceAll(name, "right", "left")
		}
		if flip[i] = slices.Index(k.Keypoints, other); flip[i] < 0 {
			return nil
		}
	}
	return flip
}

func idOf(id *int64) int64 {
	if id == nil {
		return math.MaxInt64
	}
	return *id
}

func idText(id *int64) string {
	if id == nil {
		return "(none)"
	}
	return fmt.Sprint(*id)
}

// floats takes null, which stands for what is no number, as NaN.
func floats(values []*float64) []float64 {
	var out []float64
	for _, v := range values {
		if v == nil {
			out = append(out, math.NaN())
			continue
		}
		out = append(out, *v)
	}
	return out
}

// plainNumbers makes null of NaN and Infinity, which Python writes and JSON
// does not know; strings and lines stay as they are.
func plainNumbers(data []byte) []byte {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	var out []byte
	inString := false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\' && i+1 < len(data):
			out = append(out, data[i])
			i++
		case data[i] == '"':
			inString = !inString
		case !inString:
			if rest := data[i:]; bytes.HasPrefix(rest, []byte("NaN")) {
				out, i = append(out, "null"...), i+2
				continue
			} else if sign := bytes.TrimPrefix(rest, []byte("-")); bytes.HasPrefix(sign, []byte("Infinity")) {
				out, i = append(out, "null"...), i+len(rest)-len(sign)+len("Infinity")-1
				continue
			}
		}
		out = append(out, data[i])
	}
	return out
}

// lineCount knows where lines end.
type lineCount []int

func newLineCount(data []byte) lineCount {
	var ends lineCount
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i)
		}
	}
	return ends
}

// line is the line of an offset, counted from 1.
func (l lineCount) line(offset int) int { return sort.SearchInts(l, offset) + 1 }

// at is the file and line of a JSON error.
func (c *cocoFileReader) at(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s:%d", c.path, c.text.line(int(syntax.Offset)-1))
	}
	return c.path
}
