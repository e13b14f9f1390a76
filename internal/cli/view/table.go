package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes rows in aligned columns behind an indent; the first row is the heading.
func Table(w io.Writer, s Style, indent string, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(Clean(cell)))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			cell = Clean(cell)
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = s.Bold(line)
		}
		fmt.Fprintln(w, indent+line)
	}
}
