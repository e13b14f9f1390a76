package view

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

const maxListed = 10 // corrupt files, leaks

// Dataset writes what inspection of a dataset found. Split is how a flat one
// was divided, or nil.
func Dataset(w io.Writer, s Style, r pipelines.DatasetReport, split *pipelines.Split) {
	fmt.Fprintf(w, "%s %s\n", s.Bold(Clean(r.Path)), r.Format)
	fmt.Fprintf(w, "  %s in %d classes, %s, %d x %d to %d x %d pixels\n", Count(r.Images, "image"), len(r.Classes), Bytes(r.Bytes),
		r.MinSize[0], r.MinSize[1], r.MaxSize[0], r.MaxSize[1])
	if split != nil {
		fmt.Fprintf(w, "  divided %g train, %g val (seed %d)\n", split.Train, split.Val, split.Seed)
	}
	fmt.Fprintf(w, "  fingerprint %s\n\n", r.Fingerprint)

	counts := r.Counts
	if r.Boxes != nil {
		fmt.Fprintln(w, "  Boxes by class:")
		counts = r.Boxes
	}
	splits := splitNames(r)
	head := append([]string{"CLASS"}, splits...)
	rows := [][]string{head}
	totals := make([]int, len(splits))
	for _, class := range r.Classes {
		row := []string{class}
		for i, sp := range splits {
			n := counts[sp][class]
			totals[i] += n
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	last := []string{"(all)"}
	for _, n := range totals {
		last = append(last, strconv.Itoa(n))
	}
	rows = append(rows, last)
	if r.Boxes != nil {
		images := []string{"(images)"}
		for _, sp := range splits {
			images = append(images, strconv.Itoa(r.Splits[sp]))
		}
		rows = append(rows, images)
	}
	Table(w, s, "  ", rows)

	if n := len(r.Corrupt); n > 0 {
		what := "file"
		if r.Boxes != nil {
			what = "file or label"
		}
		fmt.Fprintf(w, "\n%s\n", s.Red(strings.Replace(Count(n, what), "file or labels", "files or labels", 1)+" cannot be used:"))
		for _, p := range r.Corrupt[:min(maxListed, n)] {
			fmt.Fprintf(w, "  %s: %s\n", Clean(Place(p)), Clean(p.Error))
		}
		more(w, n)
	}
	if n := len(r.Leaks); n > 0 {
		fmt.Fprintf(w, "\n%s\n", s.Red(Count(n, "image")+" in more than one split (leakage):"))
		for _, l := range r.Leaks[:min(maxListed, n)] {
			fmt.Fprintf(w, "  %s\n", Clean(fmt.Sprint(l.Paths)))
		}
		more(w, n)
	}
	if r.Duplicates == 1 {
		fmt.Fprintln(w, "\n1 extra copy within a split.")
	} else if r.Duplicates > 1 {
		fmt.Fprintf(w, "\n%d extra copies within a split.\n", r.Duplicates)
	}
}

func more(w io.Writer, n int) {
	if n > maxListed {
		fmt.Fprintf(w, "  … and %d more (--json shows all)\n", n-maxListed)
	}
}

func splitNames(r pipelines.DatasetReport) []string {
	var out []string
	for _, s := range []string{"train", "val", "test"} {
		if _, ok := r.Counts[s]; ok {
			out = append(out, s)
		}
	}
	var rest []string
	for s := range r.Counts {
		if !slices.Contains(out, s) {
			rest = append(rest, s)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}

// Bytes writes a size in binary units.
func Bytes(n int64) string {
	const unit = 1024
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= unit && i < len(units)-1 {
		v, i = v/unit, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// Place is where a problem of a file lies, with the line where one is known.
func Place(p pipelines.FileProblem) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d", p.Path, p.Line)
	}
	return p.Path
}
