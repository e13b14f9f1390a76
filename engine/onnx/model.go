package onnx

import (
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
)

// IRVersion is the version of the file format that models are written in.
// 9 belongs to opset 20 and is read by every runtime of the last years.
const IRVersion = 9

// Domains of operators. Internal is ONNX Runtime's own domain for its blocked
// image layout.
const (
	Standard  = ""
	Microsoft = "com.microsoft"
	Internal  = "com.microsoft.nchwc"
)

// NewModel wraps a graph; opsets maps each domain used to its version.
func NewModel(g *GraphProto, producer string, opsets map[string]int64) *ModelProto {
	m := &ModelProto{IrVersion: proto.Int64(IRVersion), ProducerName: proto.String(producer), Graph: g}
	for _, domain := range []string{Standard, Microsoft, Internal} {
		if v, ok := opsets[domain]; ok {
			m.OpsetImport = append(m.OpsetImport, &OperatorSetIdProto{Domain: proto.String(domain), Version: proto.Int64(v)})
		}
	}
	return m
}

// Opset returns the version of a domain that the model imports, 0 if none.
func (m *ModelProto) Opset(domain string) int64 {
	for _, o := range m.GetOpsetImport() {
		if d := o.GetDomain(); d == domain || (domain == Standard && d == "ai.onnx") {
			return o.GetVersion()
		}
	}
	return 0
}

// Marshal serialises a model; the same model always gives the same bytes.
func Marshal(m *ModelProto) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("serialise ONNX model: %w", err)
	}
	return b, nil
}

// Unmarshal parses a model and checks that it has a graph.
func Unmarshal(b []byte) (*ModelProto, error) {
	m := &ModelProto{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("parse ONNX model: %w", err)
	}
	if m.GetGraph() == nil {
		return nil, fmt.Errorf("parse ONNX model: it has no graph")
	}
	return m, nil
}

// Load reads a model file.
func Load(path string) (*ModelProto, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Metadata returns the model's metadata_props.
func (m *ModelProto) Metadata() map[string]string {
	out := make(map[string]string, len(m.GetMetadataProps()))
	for _, p := range m.GetMetadataProps() {
		out[p.GetKey()] = p.GetValue()
	}
	return out
}

// SetMetadata sets one entry of metadata_props, replacing one of the same key.
func (m *ModelProto) SetMetadata(key, value string) {
	for _, p := range m.MetadataProps {
		if p.GetKey() == key {
			p.Value = proto.String(value)
			return
		}
	}
	m.MetadataProps = append(m.MetadataProps, &StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)})
}
