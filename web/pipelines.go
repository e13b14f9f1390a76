package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/web/submit"
)

// Evaluator evaluates submitted pipelines apart from the server.
// *submit.Process fulfils it.
type Evaluator interface {
	Evaluate(ctx context.Context, op submit.Operation, s submit.Submission) (submit.Result, error)
	Assist(ctx context.Context, s submit.Submission, q submit.Question) (submit.Assistance, error)
}

// errNoEvaluator is what a server without one answers.
var errNoEvaluator = pipelines.Errorf(pipelines.CodeUnavailable, "this server takes no pipelines")

type submissionInput struct{ Body submit.Submission }

type evaluationOutput struct{ Body submit.Result }

// validatePipeline answers 200 also for a pipeline that is wrong: that is what
// was asked.
func (s *Server) validatePipeline(_ context.Context, in *submissionInput) (*evaluationOutput, error) {
	return s.evaluated(submit.Validate, in.Body)
}

func (s *Server) planPipeline(_ context.Context, in *submissionInput) (*evaluationOutput, error) {
	return s.evaluated(submit.Plan, in.Body)
}

func (s *Server) evaluated(op submit.Operation, sub submit.Submission) (*evaluationOutput, error) {
	out, err := s.evaluate(op, sub)
	if err != nil {
		return nil, err
	}
	return &evaluationOutput{Body: out}, nil
}

// evaluate does op with a submission in a limited process; the limits of the
// operation, and not those of requests, bound it. Handlers that go on with the
// pipeline refuse a result with errors by invalidPipeline.
func (s *Server) evaluate(op submit.Operation, sub submit.Submission) (submit.Result, error) {
	if s.cfg.Evaluator == nil {
		return submit.Result{}, errNoEvaluator
	}
	ctx, cancel := context.WithTimeout(s.stop, 2*submit.LimitsOf(op).Wall) // waiting for a slot included
	defer cancel()
	return s.cfg.Evaluator.Evaluate(ctx, op, sub)
}

type assistInput struct {
	Body struct {
		submit.Submission
		submit.Question
	}
}

type assistOutput struct{ Body submit.Assistance }

// assistPipeline answers an editor, as one types: what it is asked about is
// rarely a whole pipeline.
func (s *Server) assistPipeline(_ context.Context, in *assistInput) (*assistOutput, error) {
	if s.cfg.Evaluator == nil {
		return nil, errNoEvaluator
	}
	ctx, cancel := context.WithTimeout(s.stop, submit.LimitsOf(submit.Assist).Wall) // waiting for a slot included
	defer cancel()
	out, err := s.cfg.Evaluator.Assist(ctx, in.Body.Submission, in.Body.Question)
	if err != nil {
		return nil, err
	}
	return &assistOutput{Body: out}, nil
}

// invalidPipeline is the problem of a pipeline whose diagnostics have errors,
// nil of others.
func invalidPipeline(r submit.Result) error {
	if r.Valid {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, "the pipeline has errors; diagnostics say which and where")
	p.Diagnostics = r.Diagnostics
	return p
}

// keepable refuses a pipeline that is invalid, or that came with values of
// sensitive variables: they would stand in the clear in what is kept of it.
func keepable(r submit.Result, sub submit.Submission) error {
	if err := invalidPipeline(r); err != nil {
		return err
	}
	if len(r.Sensitive) == 0 {
		return nil
	}
	name := r.Sensitive[0]
	p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, fmt.Sprintf("the variable %q is sensitive, and the server would keep the value that was sent. "+
		"Leave it out, set it in the server's environment and read it with secret(\"NAME\"), which its operator allows with --allow-env NAME", name))
	for _, name := range r.Sensitive {
		at := "/files"
		if _, ok := sub.Variables[name]; ok {
			at = "/variables/" + submit.PointerKey(name)
		}
		p.Errors = append(p.Errors, ProblemAt{Location: at, Message: fmt.Sprintf("a value of the sensitive variable %q", name)})
	}
	return p
}

type saveInput struct {
	Body struct {
		submit.Submission
		Directory string            `json:"directory" minLength:"1" maxLength:"64" doc:"name of a folder under the server's --save-root"`
		Replaces  map[string]string `json:"replaces,omitempty" doc:"SHA-256 of the texts that files now have, by name: a file that is there already is overwritten only so"`
	}
}

// Saved is what was written.
type Saved struct {
	submit.Result
	Directory string             `json:"directory"`
	Files     []submit.SavedFile `json:"files" nullable:"false"`
}

type saveOutput struct{ Body Saved }

// savePipeline writes a pipeline that is valid under the save root.
func (s *Server) savePipeline(_ context.Context, in *saveInput) (*saveOutput, error) {
	if s.cfg.SaveRoot == "" {
		return nil, problem(http.StatusForbidden, codeForbidden, "this server saves nothing: it was started without --save-root")
	}
	found, err := s.evaluate(submit.Validate, in.Body.Submission)
	if err != nil {
		return nil, err
	}
	if err := keepable(found, in.Body.Submission); err != nil {
		return nil, err
	}
	files, err := submit.Save(s.cfg.SaveRoot, in.Body.Directory, in.Body.Files, in.Body.Replaces)
	if err != nil {
		return nil, err
	}
	return &saveOutput{Body: Saved{Result: found, Directory: in.Body.Directory, Files: files}}, nil
}

type renderInput struct{ Body submit.Form }

// Rendering is the pipeline that a form stands for, and what is wrong with it.
type Rendering struct {
	HCL         string                  `json:"hcl" doc:"the text of main.hcl"`
	Valid       bool                    `json:"valid"`
	Pipeline    string                  `json:"pipeline,omitempty"`
	Diagnostics []submit.FormDiagnostic `json:"diagnostics" nullable:"false"`
}

// Submission is the rendered pipeline as it would be sent.
func (r Rendering) Submission() submit.Submission {
	return submit.Submission{Files: map[string]string{submit.FormFile: r.HCL}}
}

// problem tells what is wrong with a form by JSON pointers; nil when it is valid.
func (r Rendering) problem() *Problem {
	if r.Valid {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, "the training has errors; errors say which and where")
	for _, d := range r.Diagnostics {
		if d.Severity == "error" {
			p.Errors = append(p.Errors, ProblemAt{Location: d.Pointer, Message: d.Summary + ": " + d.Detail})
		}
	}
	return p
}

type renderOutput struct{ Body Rendering }

// renderPipeline answers 200 also for a form that is wrong: it is being filled in.
func (s *Server) renderPipeline(_ context.Context, in *renderInput) (*renderOutput, error) {
	r, err := s.render(in.Body)
	return &renderOutput{Body: r}, err
}

// render writes a form as HCL and checks it by the rules of the language and
// the adapter's schema. A handler that goes on with a form refuses a wrong one
// by its problem, and submits its Submission.
func (s *Server) render(f submit.Form) (Rendering, error) {
	text := f.Render(s.cfg.Framework)
	out := Rendering{HCL: text.HCL}
	found, err := s.evaluate(submit.Validate, out.Submission())
	if err != nil {
		return out, err
	}
	out.Pipeline, out.Diagnostics = found.Pipeline, text.Locate(found.Diagnostics)
	if out.Diagnostics == nil {
		out.Diagnostics = []submit.FormDiagnostic{}
	}
	out.Valid = found.Valid && len(text.Problems) == 0
	return out, nil
}
