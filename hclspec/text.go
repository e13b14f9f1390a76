package hclspec

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcled"
	"github.com/mitchellh/go-wordwrap"
)

// TextOptions says how diagnostics are printed for people.
type TextOptions struct {
	Width int // columns to wrap details at; 0 = 78
	Color bool
}

const (
	maxSnippetLines = 6
	maxSnippetLine  = 160 // bytes shown of one line around what is marked
)

// WriteText prints diagnostics with snippets of the source, in the manner of
// hcl.NewDiagnosticTextWriter, but in time that does not grow with the file
// for every diagnostic, and with the place marked without colour, too.
func WriteText(w io.Writer, files Files, diags hcl.Diagnostics, opts TextOptions) error {
	if opts.Width <= 0 {
		opts.Width = 78
	}
	for _, d := range diags {
		var b strings.Builder
		writeDiagnostic(&b, files, d, opts)
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

func writeDiagnostic(b *strings.Builder, files Files, d *hcl.Diagnostic, opts TextOptions) {
	word, colour, mark, reset := "Error", "", "", ""
	if d.Severity == hcl.DiagWarning {
		word = "Warning"
	}
	if opts.Color {
		colour, mark, reset = "\x1b[31m", "\x1b[1;4m", "\x1b[0m"
		if d.Severity == hcl.DiagWarning {
			colour = "\x1b[33m"
		}
	}
	fmt.Fprintf(b, "%s%s%s: %s\n\n", colour, word, reset, d.Summary)
	if d.Subject != nil && d.Subject.Filename != "" {
		writeSnippet(b, files[d.Subject.Filename], *d.Subject, mark, reset)
		writeValues(b, d)
	}
	if d.Detail != "" {
		fmt.Fprintf(b, "%s\n\n", wordwrap.WrapString(d.Detail, uint(opts.Width)))
	}
}

func writeSnippet(b *strings.Builder, file *hcl.File, at hcl.Range, mark, reset string) {
	where := ""
	if file != nil {
		if context := hcled.ContextString(file, at.Start.Byte); context != "" {
			where = ", in " + context
		}
	}
	fmt.Fprintf(b, "  on %s line %d%s:\n", at.Filename, at.Start.Line, where)
	if file == nil || at.Start.Byte > len(file.Bytes) || at.End.Byte < at.Start.Byte {
		b.WriteString("  (source code not available)\n\n")
		return
	}
	text, start := file.Bytes, at.Start.Byte
	end := min(max(at.End.Byte, start+1), len(text))
	from := bytes.LastIndexByte(text[:start], '\n') + 1
	for line := 0; line < maxSnippetLines; line++ {
		to := len(text)
		if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
			to = from + i
		}
		writeLine(b, text, at.Start.Line+line, from, to, start, end, mark, reset)
		if from = to + 1; from >= end || from > len(text) {
			break
		}
	}
	b.WriteString("\n")
}

// writeLine prints one line with its marked part.
func writeLine(b *strings.Builder, text []byte, number, from, to, start, end int, mark, reset string) {
	left, right := max(from, min(start, to)), max(min(end, to), from)
	low, high := max(from, left-maxSnippetLine), min(to, left+maxSnippetLine)
	right = min(right, high)
	clean := func(p []byte) string { return strings.ToValidUTF8(strings.TrimRight(string(p), "\r"), "?") }
	before, marked, after := clean(text[low:left]), clean(text[left:max(left, right)]), clean(text[max(left, right):max(high, left)])
	fmt.Fprintf(b, "%4d: %s%s%s%s%s\n", number, before, mark, marked, reset, after)
	if mark == "" && marked != "" && !(strings.TrimSpace(before) == "" && after == "") {
		indent := strings.Map(func(r rune) rune {
			if r == '\t' {
				return r
			}
			return ' '
		}, before)
		fmt.Fprintf(b, "      %s%s\n", indent, strings.Repeat("^", max(len([]rune(marked)), 1)))
	}
}

// writeValues tells what the variables of the expression held, since a
// matrix or for_each evaluates it several times.
func writeValues(b *strings.Builder, d *hcl.Diagnostic) {
	var lines []string
	for _, v := range values(d) {
		if s := v.Traversal + " " + v.Statement; !slices.Contains(lines, s) {
			lines = append(lines, s)
		}
	}
	for i, s := range lines {
		word := "     "
		if i == 0 {
			word = "with "
		}
		fmt.Fprintf(b, "%s%s\n", word, s)
	}
	if len(lines) > 0 {
		b.WriteString("\n")
	}
}

// values lists the known values of the variables in a diagnostic's expression.
func values(d *hcl.Diagnostic) []Value {
	out := []Value{}
	if d.Expression == nil || d.EvalContext == nil {
		return out
	}
	for _, t := range d.Expression.Variables() {
		v, diags := t.TraverseAbs(d.EvalContext)
		if diags.HasErrors() {
			continue
		}
		bare, m := unmark(v)
		name := traversalText(t)
		switch {
		case m.sensitive:
			out = append(out, Value{name, "is (sensitive)"})
		case len(m.late) > 0:
			out = append(out, Value{name, "is known after " + join(addressStrings(m.late), "and")})
		case bare.IsWhollyKnown():
			out = append(out, Value{name, "is " + show(bare)})
		}
	}
	return out
}

func traversalText(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(s.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			b.WriteString("[" + show(s.Key) + "]")
		}
	}
	return b.String()
}
