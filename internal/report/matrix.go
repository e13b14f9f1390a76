package report

import (
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// matrix is a confusion matrix ready to be drawn: rows are truth.
type matrix struct {
	Classes  []string
	Rows     []matrixRow
	Numbers  bool // few enough classes to print counts
	Confused []confusion
}

type matrixRow struct {
	Class string
	Cells []matrixCell
}

type matrixCell struct {
	N        int64
	Share    float64 // of the row
	Diagonal bool
	Title    string
}

// confusion is one kind of error: truth taken for prediction, n times.
type confusion struct {
	Truth, Prediction string
	N                 int64
}

func newMatrix(v pipelines.Validation) *matrix {
	n := len(v.ConfusionMatrix)
	if n == 0 {
		return nil
	}
	m := &matrix{Numbers: n <= 24}
	for i := range n {
		m.Classes = append(m.Classes, className(v.Classes, i))
	}
	for i, counts := range v.ConfusionMatrix {
		var total int64
		for _, c := range counts {
			total += c
		}
		row := matrixRow{Class: m.Classes[i]}
		for j, c := range counts {
			cell := matrixCell{N: c, Diagonal: i == j}
			if total > 0 {
				cell.Share = float64(c) / float64(total)
			}
			cell.Title = m.Classes[i] + " taken for " + className(v.Classes, j) + ": " + itoa(int(c))
			if c > 0 && i != j {
				m.Confused = append(m.Confused, confusion{m.Classes[i], className(v.Classes, j), c})
			}
			row.Cells = append(row.Cells, cell)
		}
		m.Rows = append(m.Rows, row)
	}
	slices.SortStableFunc(m.Confused, func(a, b confusion) int { return int(b.N - a.N) })
	m.Confused = m.Confused[:min(10, len(m.Confused))]
	return m
}

func className(classes []string, i int) string {
	if i >= 0 && i < len(classes) {
		return classes[i]
	}
	return "class " + itoa(i)
}

// classRow is a class's figures, the weakest class first.
type classRow struct {
	Class                 string
	Precision, Recall, F1 float64
	Support               int
}

func classRows(v pipelines.Validation) []classRow {
	var rows []classRow
	for class, m := range v.PerClass {
		rows = append(rows, classRow{class, m["precision"], m["recall"], m["f1"], int(m["support"])})
	}
	slices.SortFunc(rows, func(a, b classRow) int {
		switch {
		case a.F1 < b.F1:
			return -1
		case a.F1 > b.F1:
			return 1
		case a.Class < b.Class:
			return -1
		}
		return 1
	})
	return rows
}
