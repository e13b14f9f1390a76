package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/trainwright/trainwright/hclspec/hostile"
)

// TestHostileSubmissions sends every hostile text to a server: each is answered
// by diagnostics, within 3 seconds of processor time, and the server stays as
// it was.
func TestHostileSubmissions(t *testing.T) {
	if testing.Short() {
		t.Skip("a suite of its own: make test-serve")
	}
	s := newSite(t, "")
	s.start("--workers", "0")
	pid := s.cmd.Process.Pid
	var slowest time.Duration
	for _, op := range []string{"validate", "plan", "assist"} {
		for name, text := range hostile.Texts {
			if !utf8.ValidString(text) {
				continue // JSON cannot carry it
			}
			before := children(t, pid)
			status, answer := submitText(t, s, op, text)
			took := children(t, pid) - before
			slowest = max(slowest, took)
			var found struct {
				Valid       bool `json:"valid"`
				Diagnostics []struct{ Severity, Summary, Detail string }
			}
			if err := json.Unmarshal(answer, &found); err != nil {
				t.Errorf("%s %s: %d %.200s", op, name, status, answer)
				continue
			}
			switch {
			case status >= 400 && status < 500: // a problem that says why
			case status != http.StatusOK:
				t.Errorf("%s %s: %d %.300s", op, name, status, answer)
			case op == "assist": // it answers what it can
			case found.Valid != hostile.Harmless[name], !found.Valid && len(found.Diagnostics) == 0:
				t.Errorf("%s %s: valid %v, %d diagnostics", op, name, found.Valid, len(found.Diagnostics))
			}
			for _, d := range found.Diagnostics {
				if strings.Contains(d.Summary, "Internal") {
					t.Errorf("%s %s: %s", op, name, d.Detail)
				}
			}
			if took > 3*time.Second+100*time.Millisecond { // counted in ticks
				t.Errorf("%s %s took %s of processor time", op, name, took)
			}
		}
	}
	peak := highWater(t, pid)
	t.Logf("%d texts, three times; the slowest took %s of processor time; the server used %d MB at most", len(hostile.Texts), slowest, peak>>20)
	if peak > 512<<20 {
		t.Errorf("the server grew to %d MB", peak>>20)
	}
	if _, ok := get(t, s, "/api/v1/status"); !ok || s.cmd.Process.Pid != pid {
		t.Error("the server does not answer any more")
	}
}

func submitText(t *testing.T, s *site, op, text string) (int, []byte) {
	t.Helper()
	asked := map[string]any{"files": map[string]string{"main.hcl": text}}
	if op == "assist" {
		asked["file"], asked["byte"], asked["about"] = "main.hcl", len(text)/2, "completions"
	}
	body, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/api/v1/pipelines/"+op, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// children is the processor time of a process's children that have ended.
func children(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // its name may hold anything
	f := strings.Fields(rest)
	var ticks int64              // of 10 ms
	for _, s := range f[13:15] { // cutime, cstime
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// highWater is the most resident memory that a process had, in bytes.
func highWater(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
