package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
)

// Limits on what a file may claim, so that a hostile or damaged file ends in an
// error and not in an allocation. They are those of the reference
// implementation (100 MB of header) or far above any real model.
const (
	MaxHeader  = 100 << 20
	MaxTensors = 1 << 20
	MaxDims    = 16
)

// ErrFormat is wrapped by every error about the content of a safetensors file.
var ErrFormat = errors.New("not a valid safetensors file")

// File is the content of a safetensors file: tensors by name, and the free-form
// strings of its "__metadata__".
type File struct {
	Tensors  map[string]Tensor
	Metadata map[string]string
}

// Names returns the tensor names in sorted order.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.Tensors))
	for n := range f.Tensors {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Open reads the safetensors file at path.
func Open(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read weights: %w", err)
	}
	f, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Parse reads a safetensors file from memory. The tensors share data's memory.
// As the format demands, the tensors must cover the data section without gaps
// or overlaps.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, bad("it has %d bytes, fewer than the 8 of the header length", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > MaxHeader {
		return nil, bad("its header claims %d bytes, more than the limit of %d", n, MaxHeader)
	}
	if n > uint64(len(data)-8) {
		return nil, bad("its header claims %d bytes but only %d follow: the file is cut short", n, len(data)-8)
	}
	entries, meta, err := parseHeader(data[8 : 8+n])
	if err != nil {
		return nil, err
	}
	return place(entries, meta, data[8+n:])
}

type entry struct {
	name    string
	DType   DType    `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets []uint64 `json:"data_offsets"`
}

// parseHeader walks the top-level object by token so that a repeated name,
// which encoding/json would silently merge, is an error.
func parseHeader(h []byte) ([]entry, map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(h))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, bad("its header is not a JSON object")
	}
	var entries []entry
	meta := map[string]string{}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, bad("its header is broken JSON: %v", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, nil, bad("the name %q occurs twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := dec.Decode(&meta); err != nil {
				return nil, nil, bad("its __metadata__ is not an object of strings: %v", err)
			}
			continue
		}
		if len(entries) == MaxTensors {
			return nil, nil, bad("it has more than %d tensors", MaxTensors)
		}
		e := entry{name: name}
		if err := dec.Decode(&e); err != nil {
			return nil, nil, bad("the entry of tensor %q is malformed: %v", name, err)
		}
		entries = append(entries, e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, bad("its header is broken JSON: %v", err)
	}
	if rest, err := io.ReadAll(io.MultiReader(dec.Buffered())); err != nil || len(bytes.Trim(rest, " \t\r\n\x00")) > 0 {
		return nil, nil, bad("its header has bytes after the JSON object")
	}
	return entries, meta, nil
}

// place checks each entry against the data section and slices it out.
func place(entries []entry, meta map[string]string, body []byte) (*File, error) {
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i].Offsets, entries[j].Offsets
		if len(a) != 2 || len(b) != 2 {
			return len(a) < len(b)
		}
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	f := &File{Tensors: make(map[string]Tensor, len(entries)), Metadata: meta}
	var at uint64
	for _, e := range entries {
		want, err := byteSize(e)
		if err != nil {
			return nil, err
		}
		if len(e.Offsets) != 2 {
			return nil, bad("tensor %q has %d data offsets, want 2", e.name, len(e.Offsets))
		}
		from, to := e.Offsets[0], e.Offsets[1]
		if from != at {
			return nil, bad("tensor %q starts at byte %d, want %d: tensors must follow each other without gaps", e.name, from, at)
		}
		if to < from || to-from != want {
			return nil, bad("tensor %q has offsets %d to %d, but %s%v needs %d bytes", e.name, from, to, e.DType, e.Shape, want)
		}
		if to > uint64(len(body)) {
			return nil, bad("tensor %q ends at byte %d of %d: the file is cut short", e.name, to, len(body))
		}
		at = to
		f.Tensors[e.name] = Tensor{DType: e.DType, Shape: e.Shape, Data: body[from:to:to]}
	}
	if at != uint64(len(body)) {
		return nil, bad("%d bytes after the last tensor belong to none", uint64(len(body))-at)
	}
	return f, nil
}

func byteSize(e entry) (uint64, error) {
	size := uint64(e.DType.Size())
	if size == 0 {
		return 0, bad("tensor %q has the unknown element type %q", e.name, e.DType)
	}
	if len(e.Shape) > MaxDims {
		return 0, bad("tensor %q has %d dimensions, more than the limit of %d", e.name, len(e.Shape), MaxDims)
	}
	for _, d := range e.Shape {
		if d < 0 {
			return 0, bad("tensor %q has the negative dimension %d", e.name, d)
		}
		if d != 0 && size > (1<<62)/uint64(d) {
			return 0, bad("tensor %q has the shape %v, which overflows", e.name, e.Shape)
		}
		size *= uint64(d)
	}
	return size, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}
