package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table writes rows in aligned columns; the first row is the heading.
func table(w io.Writer, p painter, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = p.bold(line)
		}
		fmt.Fprintln(w, line)
	}
}
