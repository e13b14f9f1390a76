package submit

import (
	"context"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Question is what an editor asks about a place of a submission that is being
// written.
type Question struct {
	About string `json:"about" enum:"completions,hover" doc:"completions: what may be written there; hover: what the word there means"`
	File  string `json:"file" maxLength:"200" doc:"the file's name"`
	Byte  int    `json:"byte" minimum:"0" maximum:"10000000" doc:"the place: bytes of the file's text (UTF-8) before it"`
}

// The questions.
const (
	AboutCompletions = "completions"
	AboutHover       = "hover"
)

// Assistance answers a Question, in the words of `runner lsp`.
type Assistance struct {
	Completions []hclspec.Completion `json:"completions" nullable:"false" doc:"what may be written; from and to are the bytes that it replaces"`
	Hover       *hclspec.Hover       `json:"hover,omitempty" doc:"absent where there is nothing to say"`
}

// Assist answers a question about s, which may be wrong or half written. Text
// that takes more than it may is an error (invalid), since Validate tells of it.
func (p *Process) Assist(ctx context.Context, s Submission, q Question) (Assistance, error) {
	if _, ok := s.Files[q.File]; !ok {
		return Assistance{}, pipelines.Errorf(pipelines.CodeInvalid, "the file %.100q is not among those that were sent", q.File)
	}
	answer, err := p.ask(ctx, Request{Operation: Assist, Submission: s, Question: &q})
	if err != nil {
		return Assistance{}, err
	}
	if a := answer.Assistance; a != nil {
		return *a, nil
	}
	if found := answer.Result.Diagnostics; len(found) > 0 {
		return Assistance{}, pipelines.Errorf(pipelines.CodeInvalid, "%s: %s", found[0].Summary, found[0].Detail)
	}
	return Assistance{}, pipelines.Errorf(pipelines.CodeInternal, "the child that reads submissions gave no answer")
}

// Answer is the child's part: it answers a question about a submission that
// is read under the policy. hide keeps secrets out of what is shown.
func (p Policy) Answer(ctx context.Context, dir string, s Submission, q Question, opts hclspec.Options, hide func(string) string) (Assistance, error) {
	opts, err := p.options(s, opts)
	if err != nil {
		return Assistance{}, err
	}
	at := hclspec.Cursor{File: q.File, Byte: q.Byte, Writing: q.About == AboutCompletions}
	draft := hclspec.NewDraft(ctx, dir, opts, at)
	out := Assistance{Completions: []hclspec.Completion{}}
	if q.About == AboutCompletions {
		out.Completions = append(out.Completions, draft.Complete(at)...)
	} else if out.Hover = draft.Hover(at); out.Hover != nil {
		out.Hover.Text = hide(out.Hover.Text)
	}
	return out, nil
}
