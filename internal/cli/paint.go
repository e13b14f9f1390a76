package cli

import "io"

// painter adds ANSI colours, or nothing.
type painter bool

func (a *app) paint(w io.Writer) painter { return painter(a.colour(w)) }

func (p painter) sgr(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p painter) bold(s string) string   { return p.sgr("1", s) }
func (p painter) dim(s string) string    { return p.sgr("2", s) }
func (p painter) red(s string) string    { return p.sgr("1;31", s) }
func (p painter) green(s string) string  { return p.sgr("32", s) }
func (p painter) yellow(s string) string { return p.sgr("33", s) }
func (p painter) cyan(s string) string   { return p.sgr("36", s) }
