package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Question is what the server asks its child.
type Question struct {
	Operation   string            `json:"operation"`
	Dir         string            `json:"dir,omitempty"`  // of the pipeline
	Open        map[string]string `json:"open,omitempty"` // texts that the editor holds, by file name
	File        string            `json:"file,omitempty"`
	Byte        int               `json:"byte,omitempty"`
	Text        string            `json:"text,omitempty"`
	Declaration bool              `json:"declaration,omitempty"`
}

// The operations.
const (
	check      = "check" // the pipeline
	syntax     = "syntax"
	complete   = "complete"
	explain    = "explain"
	definition = "definition"
	references = "references"
	symbols    = "symbols"
	format     = "format"
)

// Reply is what the child answers.
type Reply struct {
	Diagnostics []hclspec.Diagnostic `json:"diagnostics,omitempty"`
	Completions []hclspec.Completion `json:"completions,omitempty"`
	Hover       *hclspec.Hover       `json:"hover,omitempty"`
	Places      []pipelines.Range    `json:"places,omitempty"`
	Symbols     []hclspec.Symbol     `json:"symbols,omitempty"`
	Text        string               `json:"text,omitempty"`
}

// Language is what the child knows.
type Language struct {
	Options func(dir string) hclspec.Options // for a pipeline's folder
	Hide    func(text string) string         // keeps secrets out of what is shown
	Limits  hclspec.Limits                   // of one question
}

// Answer is the child: it answers questions from r on w, JSON values both,
// until r ends. A question that takes more than the limits is answered with a
// diagnostic, and the process ends.
func Answer(ctx context.Context, r io.Reader, w io.Writer, l Language) error {
	dec, enc := json.NewDecoder(r), json.NewEncoder(w)
	for {
		var q Question
		if err := dec.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		stop := hclspec.Watch(l.Limits, func(d *hcl.Diagnostic) {
			_ = enc.Encode(Reply{Diagnostics: l.report(hcl.Diagnostics{d})})
		})
		reply := l.answer(ctx, q)
		stop()
		if err := enc.Encode(reply); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
}

func (l Language) report(diags hcl.Diagnostics) []hclspec.Diagnostic {
	out := hclspec.NewReport(nil, diags).Diagnostics
	for i := range out {
		out[i].Detail = l.Hide(out[i].Detail)
	}
	return out
}

func (l Language) answer(ctx context.Context, q Question) (out Reply) {
	switch q.Operation {
	case syntax:
		out.Diagnostics = l.report(hclspec.Syntax([]byte(q.Text), q.File))
		return out
	case symbols:
		out.Symbols = hclspec.Symbols([]byte(q.Text), q.File)
		return out
	case format:
		text, diags := hclspec.Format([]byte(q.Text), q.File)
		out.Text, out.Diagnostics = string(text), l.report(diags)
		return out
	}
	opts := l.Options(q.Dir)
	opts.Validate = true
	opts.Open = make(map[string][]byte, len(q.Open))
	for name, t := range q.Open {
		opts.Open[name] = []byte(t)
	}
	if q.Operation == check {
		_, _, diags := hclspec.Load(ctx, q.Dir, opts)
		out.Diagnostics = l.report(diags)
		return out
	}
	at := hclspec.Cursor{File: q.File, Byte: q.Byte, Writing: q.Operation == complete}
	d := hclspec.NewDraft(ctx, q.Dir, opts, at)
	switch q.Operation {
	case complete:
		out.Completions = d.Complete(at)
	case explain:
		if out.Hover = d.Hover(at); out.Hover != nil {
			out.Hover.Text = l.Hide(out.Hover.Text)
		}
	case definition:
		out.Places = d.Definition(at)
	case references:
		out.Places = d.References(at, q.Declaration)
	}
	return out
}

// readText reads a file that places are shown in.
func readText(name string) (string, bool) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
		return "", false
	}
	text, err := os.ReadFile(name)
	return string(text), err == nil
}
