package web_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDashboardAsksForWhatIsServed holds examples/grafana against /metrics.
func TestDashboardAsksForWhatIsServed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "examples", "grafana", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Fatal("the dashboard is no JSON")
	}
	s := newSite(t, nil)
	s.request("GET", "/api/v1/status", "", "") // so that requests were counted
	_, served := s.request("GET", "/metrics", "", "")
	names := regexp.MustCompile(`(trainwright|process)_[a-z_]+`).FindAllString(string(text), -1)
	if len(names) < 10 {
		t.Fatalf("the dashboard asks for %v only", names)
	}
	for _, name := range names {
		if !strings.Contains(string(served), "\n"+name+"{") && !strings.Contains(string(served), "\n"+name+" ") {
			t.Errorf("the dashboard asks for %s, which is not served", name)
		}
	}
}
