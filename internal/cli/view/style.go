// Package view turns plans, notices and results into what people see: the
// plan, plain lines, the live region of a terminal, final tables. It decides
// nothing and asks no one; golden tests hold its output.
package view

import "strings"

// Style is what the place of output can show.
type Style struct {
	Color bool
	Width int // columns of the terminal; 0 = unknown, do not cut
}

func (s Style) sgr(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold, Dim, Red, Green, Yellow and Cyan colour text where colours are shown.
func (s Style) Bold(t string) string   { return s.sgr("1", t) }
func (s Style) Dim(t string) string    { return s.sgr("2", t) }
func (s Style) Red(t string) string    { return s.sgr("31", t) }
func (s Style) Green(t string) string  { return s.sgr("32", t) }
func (s Style) Yellow(t string) string { return s.sgr("33", t) }
func (s Style) Cyan(t string) string   { return s.sgr("36", t) }

// Clean makes text from elsewhere (names, messages of a step) safe on a
// terminal: control characters are shown, not obeyed.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}
