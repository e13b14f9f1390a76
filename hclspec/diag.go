package hclspec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// failure is an error diagnostic: a fixed summary, and a detail that says
// what is wrong, why, and how to fix it.
func failure(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()}
}

func warning(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	d := failure(at, summary, detail, args...)
	d.Severity = hcl.DiagWarning
	return d
}

// didYouMean returns ` Did you mean "x"?`, or "" when nothing is near.
func didYouMean(given string, candidates []string) string {
	if near := schema.Nearest(given, candidates); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}

// orList joins quoted words: "a", "b" or "c".
func orList(words []string) string { return schema.QuotedList(words, "or") }

// article puts a or an before a word.
func article(word string) string {
	if word != "" && strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

func toRange(r hcl.Range) pipelines.Range {
	return pipelines.Range{
		Filename: r.Filename,
		Start:    pipelines.Pos{Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte},
		End:      pipelines.Pos{Line: r.End.Line, Column: r.End.Column, Byte: r.End.Byte},
	}
}

// HCLRange turns a range of pipelines back into one that diagnostics take.
func HCLRange(r pipelines.Range) hcl.Range {
	return hcl.Range{
		Filename: r.Filename,
		Start:    hcl.Pos{Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte},
		End:      hcl.Pos{Line: r.End.Line, Column: r.End.Column, Byte: r.End.Byte},
	}
}

// sentence starts an error's text with a capital letter.
func sentence(err error) string {
	s := err.Error()
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
