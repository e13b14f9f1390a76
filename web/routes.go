package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
)

// Route is one way into the server and the rule that guards it.
type Route struct {
	Method  string
	Path    string // with {parameters}
	Access  Access
	Tag     string
	Summary string
	// Quiet is asked as one types and changes nothing: only refusals are audited.
	Quiet bool
	// Also are responses besides 200 and problems.
	Also map[string]*huma.Response
}

// register lists every route. To add one: a handler in a file of its noun, a line here.
func (s *Server) register() error {
	get := func(path string, access Access, tag, summary string) Route {
		return Route{Method: http.MethodGet, Path: path, Access: access, Tag: tag, Summary: summary}
	}
	post := func(path string, access Access, tag, summary string) Route {
		return Route{Method: http.MethodPost, Path: path, Access: access, Tag: tag, Summary: summary}
	}
	plain(s, get("/", Open, "page", "The page"), s.index())
	plain(s, get("/assets/{name}", Open, "page", "The page's files"), s.asset())
	plain(s, get("/healthz", Open, "server", "The process lives"), text("text/plain", s.healthz))
	plain(s, get("/readyz", Open, "server", "The store answers"), text("text/plain", s.readyz))
	plain(s, get("/metrics", Read, "server", "Prometheus metrics"), text("text/plain", s.prom.serve))
	plain(s, get("/openapi.json", Open, "server", "This document"), jsonBody(s.openapi))

	status := get("/api/v1/status", Read, "runs", "Where the newest run of every step is; small, for polling")
	status.Also = map[string]*huma.Response{"304": {Description: "Nothing changed since the response of that ETag"}}
	handle(s, status, s.status)
	handle(s, get("/api/v1/runs", Read, "runs", "Runs, newest first"), s.listRuns)
	handle(s, get("/api/v1/runs/{id}", Read, "runs", "One run and its attempts"), s.run)
	handle(s, get("/api/v1/runs/{id}/metrics", Read, "runs", "Curves, down-sampled"), s.metrics)
	handle(s, get("/api/v1/runs/{id}/validation", Read, "runs", "Passes over held-out data"), s.validation)
	handle(s, get("/api/v1/runs/{id}/logs", Read, "runs", "Messages and printed output"), s.logs)
	handle(s, get("/api/v1/runs/{id}/checkpoints", Read, "runs", "Saved states"), s.checkpoints)
	handle(s, get("/api/v1/runs/{id}/artifacts", Read, "runs", "Files made for users"), s.artifacts)
	plain(s, get("/api/v1/runs/{id}/checkpoints/{name}", Read, "runs", "A saved state to keep"), s.checkpointFile())
	plain(s, get("/api/v1/runs/{id}/artifacts/{name}", Read, "runs", "A file made for users"), s.artifactFile())
	plain(s, get("/api/v1/runs/{id}/picture", Read, "runs", "A sample's image, small"), s.picture())
	plain(s, get("/api/v1/runs/{id}/events", Read, "live", "Events as they are filed (server-sent events)"), s.eventsRoute())

	plain(s, get(wsPath, Read, "live", "Events of several runs as they are filed (WebSocket)"), s.wsRoute())

	for _, path := range []string{"/models/list", "/api/v1/models/list"} {
		handle(s, get(path, Read, "adapters", "What can be trained"), s.models)
	}
	for _, path := range []string{"/config/schema", "/api/v1/training/config-schema"} {
		handle(s, get(path, Read, "adapters", "An adapter's advanced config and its presets"), s.configSchema)
	}
	handle(s, get("/api/v1/adapters/{name}", Read, "adapters", "All that planning with an adapter needs, for another server"), s.describeAdapter)
	handle(s, get("/api/v1/datasets", Read, "pipelines", "Folders that look like datasets, for pipelines to name"), s.datasets)
	stop := post("/api/v1/training/jobs/{id}/stop", Write, "jobs", "Stop a run after it wrote a checkpoint")
	stop.Also = map[string]*huma.Response{"202": s.response("The run is asked to stop and still at it", reflect.TypeFor[Run]())}
	handle(s, stop, s.stopJob)
	s.registerQueue(get, post)

	handle(s, post("/api/v1/pipelines/validate", Ask, "pipelines", "Check a pipeline's files"), s.validatePipeline)
	handle(s, post("/api/v1/pipelines/render", Ask, "pipelines", "The HCL that a filled-in form stands for, checked"), s.renderPipeline)
	assist := post("/api/v1/pipelines/assist", Ask, "pipelines", "What may be written at a place of a pipeline's files, or what stands there means")
	assist.Quiet = true
	handle(s, assist, s.assistPipeline)
	handle(s, post("/api/v1/pipelines/plan", Write, "pipelines", "What applying a pipeline would do, and why"), s.planPipeline)
	handle(s, post("/api/v1/pipelines/save", Write, "pipelines", "Write a valid pipeline under the server's save root"), s.savePipeline)

	plain(s, get("/login", Open, "tokens", "Log in with the one-time address that serve printed"), s.loginRoute())
	handle(s, get("/api/v1/login", Read, "tokens", "Who asks, and what they may"), s.whoami)
	handle(s, post("/api/v1/login", Login, "tokens", "Exchange a token or a one-time code for a session cookie"), s.login)
	handle(s, post("/api/v1/logout", Ask, "tokens", "End the session"), s.logout)
	handle(s, get("/api/v1/tokens", Admin, "tokens", "All tokens, newest first; never their secrets"), s.listTokens)
	handle(s, post("/api/v1/tokens", Admin, "tokens", "Make a token; its secret is shown this once"), s.createToken)
	handle(s, Route{Method: http.MethodDelete, Path: "/api/v1/tokens/{id}", Access: Admin, Tag: "tokens", Summary: "Make a token, and the sessions begun with it, void"}, s.revokeToken)

	return s.sealed()
}

// Routes lists what the server answers.
func (s *Server) Routes() []Route { return s.routes }

func (s *Server) operation(r Route) huma.Operation {
	responses := map[string]*huma.Response{"default": {Description: "Error", Content: map[string]*huma.MediaType{
		problemType: {Schema: s.api.OpenAPI().Components.Schemas.Schema(problemGoType, true, "Problem")},
	}}}
	maps.Copy(responses, r.Also)
	op := huma.Operation{
		OperationID: huma.GenerateOperationID(r.Method, r.Path, struct{}{}),
		Method:      r.Method, Path: r.Path, Summary: r.Summary, Tags: []string{r.Tag}, Responses: responses,
		Extensions: map[string]any{"x-access": r.Access},
	}
	if r.Access != Open && r.Access != Login {
		op.Security = []map[string][]string{{"token": {}}}
	}
	if r.Access == Read {
		op.Security = append(op.Security, map[string][]string{}) // open on loopback
	}
	s.routes = append(s.routes, r)
	s.known[fiberPath(r.Path)] = true
	return op
}

// handle registers a typed route, guarded by its rule.
func handle[I, O any](s *Server, r Route, h func(context.Context, *I) (*O, error)) {
	op := s.operation(r)
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		c := humafiber.Unwrap(ctx)
		token, err := s.authorize(c, r)
		if err != nil {
			_ = s.fail(c, err) // writes into memory
		} else {
			next(huma.WithValue(huma.WithValue(ctx, tokenKey{}, token), serverKey{}, s))
		}
		if status := c.Response().StatusCode(); r.Access.mutates() && (!r.Quiet || status >= http.StatusBadRequest) {
			s.audit(c, token, status)
		}
	}}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problemOf(err)
		}
		return out, nil
	})
}

// response describes a JSON body.
func (s *Server) response(description string, body reflect.Type) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
		"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(body, true, body.Name())},
	}}
}

// answer is a route outside of huma: its handler, and what it answers with.
type answer struct {
	handler   fiber.Handler
	params    []*huma.Param
	body      bool // it takes a JSON object
	responses map[string]*huma.Response
}

func text(mediaType string, h fiber.Handler) answer {
	return answer{handler: h, responses: map[string]*huma.Response{
		"200": {Description: "OK", Content: map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString}}}},
	}}
}

func jsonBody(h fiber.Handler) answer {
	return answer{handler: h, responses: map[string]*huma.Response{
		"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}},
	}}
}

// plain registers a route whose handler writes the response itself.
func plain(s *Server, r Route, a answer) {
	op := s.operation(r)
	op.Parameters = a.params
	if a.body {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}}
	}
	maps.Copy(op.Responses, a.responses)
	s.api.OpenAPI().AddOperation(&op)
	withHead{s.app}.Add(r.Method, fiberPath(r.Path), func(c *fiber.Ctx) error {
		token, err := s.authorize(c, r)
		if err != nil {
			if r.Access.mutates() {
				s.audit(c, token, problemStatus(err))
			}
			return err
		}
		c.Locals(askingToken, token)
		return a.handler(c)
	})
}

// sealed checks that no route was registered past the list.
func (s *Server) sealed() error {
	known := map[string]bool{}
	for _, r := range s.routes {
		if !slices.Contains([]Access{Open, Read, Ask, Write, Admin, Login}, r.Access) {
			return fmt.Errorf("route %s %s has no rule that says who may use it", r.Method, r.Path)
		}
		if !r.Access.mutates() && r.Method != http.MethodGet {
			return fmt.Errorf("route %s %s changes something and needs no token", r.Method, r.Path)
		}
		known[r.Method+fiberPath(r.Path)] = true
		if r.Method == http.MethodGet {
			known[http.MethodHead+fiberPath(r.Path)] = true
		}
	}
	for _, r := range s.app.GetRoutes(true) {
		if !known[r.Method+r.Path] {
			return fmt.Errorf("route %s %s is not in the list of routes", r.Method, r.Path)
		}
	}
	doc, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	s.document = doc
	return nil
}
