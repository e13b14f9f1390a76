package weights

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/trainwright/trainwright/engine/internal/disk"
)

// Encode writes f as a safetensors file. Equal content gives equal bytes:
// tensors are laid out in name order and the header is padded with spaces to a
// multiple of 8, as the reference implementation does.
func Encode(w io.Writer, f *File) error {
	head := make(map[string]any, len(f.Tensors)+1)
	if len(f.Metadata) > 0 {
		head["__metadata__"] = f.Metadata
	}
	names := f.Names()
	var at uint64
	for _, n := range names {
		t := f.Tensors[n]
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		e := entry{name: n, DType: t.DType, Shape: shape}
		want, err := byteSize(e)
		if err != nil {
			return err
		}
		if want != uint64(len(t.Data)) {
			return fmt.Errorf("tensor %q has %d bytes, but %s%v needs %d", n, len(t.Data), t.DType, shape, want)
		}
		if n == "__metadata__" {
			return fmt.Errorf("a tensor cannot be called %q: the format reserves that name", n)
		}
		e.Offsets = []uint64{at, at + want}
		at += want
		head[n] = e
	}
	text, err := json.Marshal(head) // map keys are marshalled in sorted order
	if err != nil {
		return fmt.Errorf("encode safetensors header: %w", err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > MaxHeader {
		return fmt.Errorf("the safetensors header would have %d bytes, more than the limit of %d", len(text), MaxHeader)
	}
	bw := bufio.NewWriterSize(w, 1<<20)
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(text)))
	bw.Write(size[:])
	bw.Write(text)
	for _, n := range names {
		bw.Write(f.Tensors[n].Data)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	return nil
}

// Save writes f to path through a temporary file in the same folder, synced and
// renamed, so that a reader sees the old file or the whole new one.
func Save(path string, f *File) error {
	if err := disk.Write(path, func(w io.Writer) error { return Encode(w, f) }); err != nil {
		return fmt.Errorf("save weights: %w", err)
	}
	return nil
}
