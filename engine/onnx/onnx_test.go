package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/engine/onnx"
	"google.golang.org/protobuf/proto"
)

func TestRoundTrip(t *testing.T) {
	n, err := onnx.NewNode(onnx.Standard, "Softmax", []string{"x"}, []string{"y"}, onnx.Attr{Name: "axis", Value: int64(-1)})
	if err != nil {
		t.Fatal(err)
	}
	float := onnx.TensorProto_FLOAT
	m := onnx.NewModel(&onnx.GraphProto{
		Name:   proto.String("g"),
		Node:   []*onnx.NodeProto{n},
		Input:  []*onnx.ValueInfoProto{onnx.NewValueInfo("x", float, []int{2, 3})},
		Output: []*onnx.ValueInfoProto{onnx.NewValueInfo("y", float, []int{2, 3})},
	}, "test", map[string]int64{onnx.Standard: 18})
	m.SetMetadata("classes", "a")
	m.SetMetadata("classes", "b")
	b, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Metadata()["classes"] != "b" || got.Opset(onnx.Standard) != 18 || got.Opset(onnx.Microsoft) != 0 {
		t.Errorf("got metadata %v, opset %d", got.Metadata(), got.Opset(onnx.Standard))
	}
	if again, _ := onnx.Marshal(got); !bytes.Equal(again, b) {
		t.Error("a model that was read and written again has other bytes")
	}
}

func TestErrors(t *testing.T) {
	if _, err := onnx.NewNode("", "X", nil, nil, onnx.Attr{Name: "a", Value: 1}); err == nil {
		t.Error("an int attribute was accepted")
	}
	for _, b := range [][]byte{nil, []byte("not a model")} {
		if _, err := onnx.Unmarshal(b); err == nil {
			t.Errorf("%q was accepted", b)
		}
	}
}

func TestBind(t *testing.T) {
	float := onnx.TensorProto_FLOAT
	model := func() *onnx.ModelProto {
		return onnx.NewModel(&onnx.GraphProto{Input: []*onnx.ValueInfoProto{
			onnx.NewValueInfo("x", float, []int{2}), onnx.NewValueInfo("w", float, []int{3})}}, "test", nil)
	}
	m := model()
	if err := m.Bind(onnx.NewTensor("w", float, []int{3}, make([]byte, 12))); err != nil {
		t.Fatal(err)
	}
	if g := m.GetGraph(); len(g.Input) != 1 || g.Input[0].GetName() != "x" || len(g.Initializer) != 1 {
		t.Errorf("got %d inputs and %d initializers", len(g.Input), len(g.Initializer))
	}
	for _, bad := range []*onnx.TensorProto{
		onnx.NewTensor("v", float, []int{3}, nil),
		onnx.NewTensor("w", float, []int{4}, nil),
		onnx.NewTensor("w", onnx.TensorProto_INT64, []int{3}, nil),
	} {
		if err := model().Bind(bad); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}
