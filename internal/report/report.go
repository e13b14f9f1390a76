// Package report writes a run's report.html: one self-contained page with
// curves, confusion matrix, per-class figures, sample predictions, the
// effective config and where each value came from. It loads nothing.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
)

// Data is what a report shows. Only Run is required; a part without data is left out.
type Data struct {
	Run         pipelines.Run
	Attempts    []pipelines.Attempt
	Metrics     []runner.MetricRow // visible rows
	Validations []pipelines.Validation
	Checkpoints []pipelines.Checkpoint
	Artifacts   []pipelines.Artifact
	Messages    []runner.MessageRow
	Spec        *pipelines.Spec // as resolved for this run: the effective config and its origins
	Dataset     *pipelines.DatasetReport
	Version     string // of the runner
	Now         time.Time
}

//go:embed report.html.tmpl
var page string

//go:embed report.css
var css string

var tmpl = template.Must(template.New("report").Funcs(template.FuncMap{
	"pct":      percent,
	"num":      number,
	"time":     clock,
	"duration": duration,
	"bytes":    bytesText,
	"short":    short,
	"shade":    shade,
}).Parse(page))

// Render returns the page.
func Render(d Data) ([]byte, error) {
	v := newView(d)
	v.CSS = template.CSS(css)
	var b bytes.Buffer
	if err := tmpl.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report of run %s: %w", d.Run.ID, err)
	}
	return b.Bytes(), nil
}

// Write renders the page into path, whole or not at all.
func Write(path string, d Data) error {
	text, err := Render(d)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
