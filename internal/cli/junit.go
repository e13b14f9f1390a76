package cli

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/internal/rtest"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// junitFile writes an outcome as JUnit XML, which CI systems show: a test case
// for each step and check of an apply, or for each run of a test.
type junitFile struct {
	path string

	started map[pipelines.Address]time.Time
	took    map[pipelines.Address]time.Duration
	summary *runner.ApplyResult
	tests   []rtest.Outcome
}

func (j *junitFile) register(c *cobra.Command, what string) {
	c.Flags().StringVar(&j.path, "junit", "", "write "+what+" as JUnit XML into `FILE`")
}

// Observe remembers how an apply ends and how long its steps took.
func (j *junitFile) Observe(n runner.Notice) {
	switch n.Type {
	case runner.NoticeStepStarted:
		if _, again := j.started[n.Address]; !again {
			if j.started == nil {
				j.started, j.took = map[pipelines.Address]time.Time{}, map[pipelines.Address]time.Duration{}
			}
			j.started[n.Address] = n.Time
		}
	case runner.NoticeStepEnded:
		if began, ok := j.started[n.Address]; ok {
			j.took[n.Address] = n.Time.Sub(began)
		}
	case runner.NoticeApplyEnded:
		j.summary = n.Summary
	}
}

// write writes how the command ended: what was applied or tested, or the error
// that came before.
func (j *junitFile) write(a *app, err error) error {
	if j.path == "" {
		return nil
	}
	var cases []junitCase
	switch {
	case j.summary != nil:
		cases = j.applyCases(a)
	case j.tests != nil:
		cases = j.testCases(a)
	case err != nil:
		cases = a.errorCases(err)
	}
	suite := junitSuite{Name: a.source, Tests: len(cases), Timestamp: a.Now().UTC().Format("2006-01-02T15:04:05"), Cases: cases}
	for _, c := range cases {
		suite.Seconds += c.Seconds
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	text, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err == nil {
		err = os.WriteFile(a.path(j.path), append([]byte(xml.Header), append(text, '\n')...), 0o644)
	}
	if err != nil {
		return usagef("--junit: %w", err)
	}
	return nil
}

func (j *junitFile) applyCases(a *app) []junitCase {
	var cases []junitCase
	for _, s := range j.summary.Steps {
		c := a.junitCase(string(s.Address), string(s.Kind), s.Range)
		c.Seconds = j.took[s.Address].Seconds()
		switch {
		case s.Status == pipelines.StatusFailed:
			c.Failure = &junitText{Message: "failed (" + string(s.Cause) + ")", Text: a.redactor.hide(s.Error)}
		case s.Status != pipelines.StatusCompleted:
			c.Skipped = &junitText{Message: string(s.Status), Text: a.redactor.hide(s.Error)}
		case s.Action == runner.ActionReuse:
			c.Output = "reused: nothing changed"
		}
		cases = append(cases, c)
	}
	for _, check := range j.summary.Checks {
		c := a.junitCase(string(check.Address), "check", check.Range)
		var values []string
		for _, v := range check.Values {
			values = append(values, v.Expr+" = "+v.Value)
		}
		switch check.State {
		case runner.CheckPassed:
			c.Output = a.redactor.hide(strings.Join(values, "\n"))
		case runner.CheckFailed:
			c.Failure = &junitText{Message: a.redactor.hide(check.Message), Text: a.redactor.hide(strings.Join(values, "\n"))}
		default:
			c.Skipped = &junitText{Message: string(check.State)}
		}
		cases = append(cases, c)
	}
	return cases
}

// errorCases are what kept a plan from being made or applied.
func (a *app) errorCases(err error) []junitCase {
	diags, ok := diagnosticsOf(err)
	if !ok {
		return []junitCase{{Name: "plan", Class: a.source, Error: &junitText{Message: a.redactor.hide(err.Error())}}}
	}
	var cases []junitCase
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		c := junitCase{Name: a.redactor.hide(d.Summary), Class: a.source + ".plan"}
		where := ""
		if r := d.Subject; r != nil {
			c.File, c.Line = a.repositoryPath(r.Filename), r.Start.Line
			where = fmt.Sprintf("%s:%d: ", c.File, c.Line)
		}
		c.Failure = &junitText{Message: where + c.Name, Text: a.redactor.hide(d.Detail)}
		cases = append(cases, c)
	}
	return cases
}

func (j *junitFile) testCases(a *app) []junitCase {
	var cases []junitCase
	for _, o := range j.tests {
		c := junitCase{
			Name: o.Run, Class: a.source + "." + strings.TrimSuffix(filepath.Base(o.File), rtest.Suffix),
			File: a.repositoryPath(o.File), Line: o.Range.Start.Line, Seconds: o.Took.Seconds(),
		}
		if !o.Passed {
			c.Failure = &junitText{Message: "not as expected", Text: a.redactor.hide(strings.Join(o.Failures, "\n"))}
		}
		cases = append(cases, c)
	}
	return cases
}

func (a *app) junitCase(name, class string, r pipelines.Range) junitCase {
	c := junitCase{Name: name, Class: a.source + "." + class}
	if !r.IsZero() {
		c.File, c.Line = a.repositoryPath(r.Filename), r.Start.Line
	}
	return c
}

// The elements that readers of JUnit's format agree on.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Seconds   float64     `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	File    string     `xml:"file,attr,omitempty"`
	Line    int        `xml:"line,attr,omitempty"`
	Seconds float64    `xml:"time,attr"`
	Failure *junitText `xml:"failure"`
	Error   *junitText `xml:"error"`
	Skipped *junitText `xml:"skipped"`
	Output  string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}
