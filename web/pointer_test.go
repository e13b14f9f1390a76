package web_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/trainwright/trainwright/web"
)

// TestWhereABodyIsWrong: JSON pointers, whatever the keys are called.
func TestWhereABodyIsWrong(t *testing.T) {
	s := newSite(t, nil)
	doc := s.document()
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{"/api/v1/training/jobs", `{"model_name": 3, "training_config": "x", "priority": 100000}`, []string{"/model_name", "/priority", "/training_config"}},
		{"/api/v1/training/jobs", `{"epoch": 3}`, []string{"/epoch"}},
		{"/api/v1/training/jobs", `[1]`, []string{""}},
		{"/api/v1/training/jobs", `{"model_name": `, []string{""}},
		{"/api/v1/training/jobs", `{}{`, []string{""}},
		{"/api/v1/pipelines/validate", `{}`, []string{""}},
		{"/api/v1/pipelines/validate", `{"files": {"a/b~c[0].hcl": 1, "b.hcl": "", "": 2, "main.hcl": null, "x.y.z": {}}, "targets": ["", 4], "x.y": 1}`,
			[]string{"/files/", "/files/a~1b~0c[0].hcl", "/files/main.hcl", "/files/x.y.z", "/targets/1", "/x.y"}},
		{"/api/v1/pipelines/assist", `{"files": {"main.hcl": ""}, "file": "main.hcl", "byte": -1, "about": "weather"}`, []string{"/about", "/byte"}},
		{"/api/v1/tokens", `{"role": "king"}`, []string{"/role"}},
	} {
		res, body := s.request("POST", c.path, s.secrets()["admin"], c.body)
		doc.check("POST", c.path, res, body)
		var p web.Problem
		if err := json.Unmarshal(body, &p); err != nil || p.Code != "invalid" || res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s %s: %d %s", c.path, c.body, res.StatusCode, body)
			continue
		}
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Location)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %q, want %q: %s", c.path, c.body, got, c.want, body)
		}
	}
	// What is not in the body keeps its name.
	_, body := s.request("GET", "/api/v1/runs?limit=x", "", "")
	var p web.Problem
	if err := json.Unmarshal(body, &p); err != nil || len(p.Errors) != 1 || p.Errors[0].Location != "query.limit" {
		t.Errorf("a query parameter: %s", body)
	}
}
