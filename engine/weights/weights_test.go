package weights_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/engine/weights"
)

// raw builds a file from a header text and a body.
func raw(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func TestRoundTrip(t *testing.T) {
	f := &weights.File{
		Metadata: map[string]string{"format": "pt"},
		Tensors: map[string]weights.Tensor{
			"b":      weights.Float32([]int{2, 2}, []float32{1, -2, 3.5, float32(math.Inf(1))}),
			"a":      weights.Float32(nil, []float32{7}),
			"steps":  weights.Int64([]int{1}, []int64{-9}),
			"nought": weights.Float32([]int{0, 4}, nil),
		},
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := weights.Save(path, f); err != nil {
		t.Fatal(err)
	}
	got, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Names(), []string{"a", "b", "nought", "steps"}) || got.Metadata["format"] != "pt" {
		t.Fatalf("names %v metadata %v", got.Names(), got.Metadata)
	}
	v, err := got.Tensors["b"].Float32s()
	if err != nil || v[2] != 3.5 || !math.IsInf(float64(v[3]), 1) {
		t.Fatalf("b = %v, %v", v, err)
	}
	if n, err := got.Tensors["steps"].Int64s(); err != nil || n[0] != -9 {
		t.Fatalf("steps = %v, %v", n, err)
	}
	var once, twice bytes.Buffer
	weights.Encode(&once, f)
	weights.Encode(&twice, got)
	if !bytes.Equal(once.Bytes(), twice.Bytes()) {
		t.Fatal("encoding what was read gives other bytes")
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Fatalf("Save left %d files", len(entries))
	}
}

// testdata/torch.safetensors was written by the reference implementation:
// see testdata/make_torch.py.
func TestReadsTheReferenceImplementation(t *testing.T) {
	f, err := weights.Open("testdata/torch.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{
		"f32":  {0, 0.5, -1.25, 3},
		"f16":  {1, -2, 6.103515625e-05, 5.9604644775390625e-08},
		"bf16": {1, -2, 0.15625, 3.3895313892515355e38},
		"f64":  {0.1},
	}
	for name, w := range want {
		got, err := f.Tensors[name].Float32s()
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, w)
		}
	}
	if _, err := f.Tensors["i64"].Float32s(); err == nil {
		t.Error("an integer tensor was read as floats")
	}
}

func TestParseRefusesDamage(t *testing.T) {
	ok := `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "fewer than the 8"},
		"header too long": {raw("{}", 0)[:9], "cut short"},
		"header huge":     {binary.LittleEndian.AppendUint64(nil, 1<<60), "limit"},
		"not JSON":        {raw("[]", 0), "not a JSON object"},
		"body short":      {raw(ok, 7), "cut short"},
		"body long":       {raw(ok, 9), "belong to none"},
		"trailing header": {raw(ok+"x", 8), "after the JSON object"},
		"unknown type":    {raw(`{"w":{"dtype":"F3","shape":[],"data_offsets":[0,0]}}`, 0), "unknown element type"},
		"negative":        {raw(`{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "negative"},
		"overflow":        {raw(`{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}`, 4), "overflows"},
		"wrong length":    {raw(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8), "needs 4 bytes"},
		"gap":             {raw(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "without gaps"},
		"overlap":         {raw(`{"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "without gaps"},
		"twice":           {raw(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "occurs twice"},
		"no offsets":      {raw(`{"w":{"dtype":"F32","shape":[1]}}`, 4), "data offsets"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := weights.Parse(c.data)
			if !errors.Is(err, weights.ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want ErrFormat with %q", err, c.want)
			}
		})
	}
	if _, err := weights.Parse(raw(ok, 8)); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(raw(`{"__metadata__":{"a":"b"},"w":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, 2))
	if b, err := os.ReadFile("testdata/torch.safetensors"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := weights.Parse(data)
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if err := weights.Encode(&buf, file); err != nil {
			t.Fatalf("a parsed file does not encode: %v", err)
		}
		again, err := weights.Parse(buf.Bytes())
		if err != nil || len(again.Tensors) != len(file.Tensors) {
			t.Fatalf("an encoded file does not parse: %v", err)
		}
	})
}

func TestMatch(t *testing.T) {
	model := []weights.Param{{"conv.weight", []int{2, 1}}, {"fc.weight", []int{3, 2}}, {"fc.bias", []int{3}}}
	classifier := []string{"fc.weight", "fc.bias"}
	file := func(classes int) *weights.File {
		return &weights.File{Tensors: map[string]weights.Tensor{
			"conv.weight":             weights.Float32([]int{2, 1}, []float32{1, 2}),
			"bn1.num_batches_tracked": weights.Int64(nil, []int64{5}),
			"fc.weight":               weights.Float32([]int{classes, 2}, make([]float32, 2*classes)),
			"fc.bias":                 weights.Float32([]int{classes}, make([]float32, classes)),
		}}
	}
	v, r, err := weights.Match(file(3), model, classifier)
	if err != nil || len(v) != 3 || len(r.Loaded) != 3 || len(r.Reheaded) != 0 {
		t.Fatalf("same classes: %v %v", r, err)
	}
	v, r, err = weights.Match(file(1000), model, classifier)
	if err != nil || len(v) != 1 || len(r.Reheaded) != 2 || v["conv.weight"][1] != 2 {
		t.Fatalf("other classes: %v %v", r, err)
	}
	if !strings.Contains(r.String(), "classifier re-headed: fc.bias (file [1000], model [3]), fc.weight") {
		t.Fatalf("the report does not tell: %s", r)
	}
	f := file(3)
	delete(f.Tensors, "fc.bias")
	f.Tensors["extra"] = weights.Float32(nil, []float32{0})
	f.Tensors["conv.weight"] = weights.Float32([]int{1, 2}, []float32{0, 0})
	_, r, err = weights.Match(f, model, classifier)
	if err == nil || !reflect.DeepEqual(r.Missing, []string{"fc.bias"}) || !reflect.DeepEqual(r.Unexpected, []string{"extra"}) || len(r.Shape) != 1 {
		t.Fatalf("misfit: %v %v", r, err)
	}
	for _, w := range []string{"missing in the file: fc.bias", "unexpected in the file: extra", "conv.weight (file [1 2], model [2 1])"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error lacks %q: %v", w, err)
		}
	}
}

func TestFrozen(t *testing.T) {
	names := []string{"conv1.weight", "layer1.0.conv1.weight", "layer1.1.bn1.bias", "layer2.0.conv1.weight", "fc.weight"}
	got, err := weights.Frozen([]string{"layer1.*", "conv1.*"}, names)
	if err != nil || !reflect.DeepEqual(got, names[:3]) {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := weights.Frozen([]string{"layer9.*"}, names); err == nil || !strings.Contains(err.Error(), "matches none") {
		t.Fatalf("a pattern without a match: %v", err)
	}
	if _, err := weights.Frozen([]string{"[", "fc.*"}, names); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Fatalf("a malformed pattern: %v", err)
	}
}
