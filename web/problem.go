package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/pipelines"
)

// Codes of this package, beside those of pipelines.
const (
	codeUnauthenticated  pipelines.Code = "unauthenticated"
	codeForbidden        pipelines.Code = "forbidden"
	codeMethodNotAllowed pipelines.Code = "method_not_allowed"
	codeMediaType        pipelines.Code = "unsupported_media_type"
	codeTooLarge         pipelines.Code = "too_large"
	codeMisdirected      pipelines.Code = "misdirected"
)

// Problem is every error's body (RFC 9457), with a stable code.
type Problem struct {
	Type   string         `json:"type" doc:"always about:blank; code tells problems apart"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Code   pipelines.Code `json:"code" doc:"stable: internal, invalid, not_found, conflict, stale, locked, unavailable, cancelled, timeout, step_failed, check_failed, unauthenticated, forbidden, method_not_allowed, unsupported_media_type, too_large, misdirected"`
	Detail string         `json:"detail" doc:"what, why and what to do"`
	Errors []ProblemAt    `json:"errors,omitempty" doc:"what is wrong where in the request"`
	// Diagnostics are those of a submitted pipeline.
	Diagnostics []hclspec.Diagnostic `json:"diagnostics,omitempty" doc:"what is wrong where in a submitted pipeline"`
}

// ProblemAt is one thing wrong in a request.
type ProblemAt struct {
	Location string `json:"location" doc:"a JSON pointer into the body, \"\" for all of it: /files/main.hcl; or query.limit, path.id, header.…"`
	Message  string `json:"message"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus and ContentType are what huma asks of an error's body.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is problem+json.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func problem(status int, code pipelines.Code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// statusOf is the one place that decides what an error's code means in HTTP.
func statusOf(code pipelines.Code) int {
	switch code {
	case pipelines.CodeInvalid:
		return http.StatusUnprocessableEntity
	case pipelines.CodeNotFound:
		return http.StatusNotFound
	case pipelines.CodeConflict, pipelines.CodeStale, pipelines.CodeStepFailed, pipelines.CodeCheckFailed:
		return http.StatusConflict
	case pipelines.CodeLocked:
		return http.StatusLocked
	case pipelines.CodeUnavailable, pipelines.CodeCancelled:
		return http.StatusServiceUnavailable
	case pipelines.CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// codeOf is the code of an HTTP status that the router or huma chose.
func codeOf(status int) pipelines.Code {
	switch status {
	case http.StatusNotFound:
		return pipelines.CodeNotFound
	case http.StatusMethodNotAllowed:
		return codeMethodNotAllowed
	case http.StatusUnsupportedMediaType:
		return codeMediaType
	case http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return codeTooLarge
	case http.StatusRequestTimeout:
		return pipelines.CodeTimeout
	case http.StatusServiceUnavailable:
		return pipelines.CodeUnavailable
	}
	if status >= 500 {
		return pipelines.CodeInternal
	}
	return pipelines.CodeInvalid
}

// problemOf makes any error a problem. What happened inside is told to the
// log and not to the client: it may name paths or hosts.
func (s *Server) problemOf(err error) *Problem {
	var p *Problem
	var fe *fiber.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fe):
		return problem(fe.Code, codeOf(fe.Code), fe.Message)
	}
	code := pipelines.CodeOf(err)
	if code == pipelines.CodeInternal {
		s.cfg.Log.Error("request failed", "error", err)
		return problem(http.StatusInternalServerError, code, "the server failed on this request; its log says why")
	}
	return problem(statusOf(code), code, err.Error())
}

// fail writes an error to a plain Fiber request.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	p := s.problemOf(err)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	secure(c) // errors found before any handler ran come here first
	c.Set(fiber.HeaderContentType, problemType)
	if p.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="runner"`)
	}
	return c.Status(p.Status).Send(body)
}

// humaErrors makes huma's own errors (a parameter out of range, say) problems
// of this package. huma keeps the constructors in variables of its own.
var humaErrors = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaProblem(status, message, placesOf(errs))
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		at := placesOf(errs)
		if s, ok := ctx.Context().Value(serverKey{}).(*Server); ok {
			at = s.pointed(ctx, at)
		}
		return humaProblem(status, message, at)
	}
})

func humaProblem(status int, message string, at []ProblemAt) *Problem {
	p := problem(status, codeOf(status), message)
	p.Errors = at
	for _, e := range at {
		p.Detail += "; " + strings.TrimPrefix(e.Location+": ", ": ") + e.Message
	}
	return p
}

// placesOf lists the errors that have one.
func placesOf(errs []error) (out []ProblemAt) {
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			out = append(out, ProblemAt{Location: d.Location, Message: d.Message})
		}
	}
	return out
}
