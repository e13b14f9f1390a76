package web_test

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/trainwright/trainwright/web"
)

// document checks answers against the server's own OpenAPI document.
type document struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	doc      map[string]any
}

func (s *site) document() document {
	s.t.Helper()
	_, body := s.request("GET", "/openapi.json", "", "")
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		s.t.Fatal(err)
	}
	return document{s.t, c, doc.(map[string]any)}
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")

// check holds an answer against what the document says of the route.
func (d document) check(method, path string, res *http.Response, body []byte) {
	d.t.Helper()
	ops, _ := d.doc["paths"].(map[string]any)[path].(map[string]any)
	op, ok := ops[strings.ToLower(method)].(map[string]any)
	if !ok {
		d.t.Errorf("%s %s is not in the document", method, path)
		return
	}
	responses := op["responses"].(map[string]any)
	status := strconv.Itoa(res.StatusCode)
	if _, ok := responses[status]; !ok {
		status = "default"
	}
	r, ok := responses[status].(map[string]any)
	if !ok {
		d.t.Errorf("%s %s: the document knows no answer %d", method, path, res.StatusCode)
		return
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	content, _ := r["content"].(map[string]any)
	if len(content) == 0 {
		if len(body) > 0 {
			d.t.Errorf("%s %s: %d has a body, the document says none: %s", method, path, res.StatusCode, body)
		}
		return
	}
	if _, ok := content[media]; err != nil || !ok {
		d.t.Errorf("%s %s: %d is %q, the document says %v", method, path, res.StatusCode, media, content)
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	at := "openapi.json#/paths/" + pointer.Replace(path) + "/" + strings.ToLower(method) + "/responses/" + status + "/content/" + pointer.Replace(media) + "/schema"
	schema, err := d.compiler.Compile(at)
	if err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		d.t.Errorf("%s %s: %v in %s", method, path, err, body)
		return
	}
	if err := schema.Validate(v); err != nil {
		d.t.Errorf("%s %s: %v in %s", method, path, err, body)
	}
}

// TestAnswersFitTheDocument asks every route for every run, and for what is wrong.
func TestAnswersFitTheDocument(t *testing.T) {
	s := newSite(t, nil)
	doc, admin := s.document(), s.secrets()["admin"]
	if v := doc.doc["openapi"]; v != "3.1.0" {
		t.Errorf("openapi %v", v)
	}
	for _, r := range s.server.Routes() {
		ids := []string{"x"}
		if strings.Contains(r.Path, "{id}") {
			ids = []string{"done", "bad", "1", "none", "999"}
		}
		token := writeToken
		if r.Access == web.Admin {
			token = admin
		}
		if strings.Contains(r.Path, "/tokens/{id}") {
			ids = []string{"none"}
		}
		for _, id := range ids {
			path := strings.ReplaceAll(r.Path, "{id}", id)
			res, body := s.request(r.Method, path, token, "{}")
			doc.check(r.Method, r.Path, res, body)
			if slices.ContainsFunc([]string{"{name}", "/picture", "/applies/{id}", "{id}/start", "/callback", "{method}"}, func(part string) bool { return strings.Contains(r.Path, part) }) {
				continue // their own tests ask for what is there
			}
			if missing := id == "none" || id == "999"; missing != (res.StatusCode == 404) {
				t.Errorf("%s %s: %d %s", r.Method, path, res.StatusCode, body)
			}
			if r.Method == "GET" {
				res, body := s.request("HEAD", path, "", "")
				if len(body) != 0 || res.StatusCode >= 500 || res.StatusCode == 405 {
					t.Errorf("HEAD %s: %d %s", path, res.StatusCode, body)
				}
			}
			res, body = s.request(r.Method, path, "wrong", "{}")
			doc.check(r.Method, r.Path, res, body)
		}
	}
	for path, route := range map[string]string{
		"/api/v1/runs?limit=0":                                         "/api/v1/runs",
		"/api/v1/runs?offset=-1":                                       "/api/v1/runs",
		"/api/v1/runs?status=odd":                                      "/api/v1/runs",
		"/api/v1/runs?sttus=failed":                                    "/api/v1/runs",
		"/api/v1/runs/done/metrics?max_points=1":                       "/api/v1/runs/{id}/metrics",
		"/api/v1/runs/done/logs?attempt=9":                             "/api/v1/runs/{id}/logs",
		"/api/v1/runs/done/events?after=x":                             "/api/v1/runs/{id}/events",
		"/api/v1/runs/done/events?after=9-9":                           "/api/v1/runs/{id}/events",
		"/api/v1/training/config-schema?framework=none":                "/api/v1/training/config-schema",
		"/api/v1/training/config-schema?task_type=none":                "/api/v1/training/config-schema",
		"/models/list?task_type=none":                                  "/models/list",
		"/models/list?framework=none":                                  "/models/list",
		"/models/list?framework=fake&task_type=image_classification":   "/models/list",
		"/api/v1/status?pipeline=p&commit=c1&branch=main":              "/api/v1/status",
		"/api/v1/runs?commit=c2&branch=topic&limit=1":                  "/api/v1/runs",
		"/api/v1/runs/done/metrics?name=loss&split=train&max_points=3": "/api/v1/runs/{id}/metrics",
	} {
		res, body := s.request("GET", path, "", "")
		doc.check("GET", route, res, body)
	}
	res, body := s.request("POST", "/api/v1/training/jobs/live/stop", writeToken, `{"odd":1}`)
	doc.check("POST", "/api/v1/training/jobs/{id}/stop", res, body)
	if res.StatusCode != 422 || s.cancel.Load() != 0 {
		t.Errorf("a body with an unknown key: %d %s", res.StatusCode, body)
	}
	res, body = s.request("POST", "/api/v1/training/jobs/live/stop", writeToken, "{}")
	doc.check("POST", "/api/v1/training/jobs/{id}/stop", res, body)
	for path, want := range map[string]int{"/nowhere": 404, "/api/v1/training/jobs/live/stop": 405} {
		res, body := s.request("GET", path, "", "")
		if res.StatusCode != want || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s: %d %s", path, res.StatusCode, body)
		}
		if want == 405 && res.Header.Get("Allow") != "POST" {
			t.Errorf("Allow is %q", res.Header.Get("Allow"))
		}
	}
}
