package pipelines

import "fmt"

// Pos is a position in a source file. Line and Column count from 1, Byte from 0.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// Range is a half-open piece of a source file, for messages that point at HCL.
type Range struct {
	Filename string `json:"filename"`
	Start    Pos    `json:"start"`
	End      Pos    `json:"end"`
}

// IsZero reports that no source position is known.
func (r Range) IsZero() bool { return r.Filename == "" && r.Start.Line == 0 }

func (r Range) String() string {
	return fmt.Sprintf("%s:%d,%d", r.Filename, r.Start.Line, r.Start.Column)
}

// Source is one file of a pipeline, as it was read.
type Source struct {
	Filename string `json:"filename"` // relative to the pipeline's folder
	Text     []byte `json:"text"`
}
