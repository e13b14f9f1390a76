package hclspec_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/hostile"
	"github.com/trainwright/trainwright/pipelines"
)

func TestReportAsJSON(t *testing.T) {
	text := "pipeline \"p\" {}\nmodel \"m\" {\n  nam = \"convnet\"\n}\n"
	opts := validateOptions()
	opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: []byte(text)}}
	_, files, diags := hclspec.Load(t.Context(), ".", opts)
	var out bytes.Buffer
	if err := hclspec.WriteJSON(&out, files, diags); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := `    {
      "severity": "error",
      "summary": "Unsupported argument",
      "detail": "Block model has no argument \"nam\". Did you mean \"name\"?",
      "range": {
        "filename": "main.hcl",
        "start": {
          "line": 3,
          "column": 3,
          "byte": 30
        },
        "end": {
          "line": 3,
          "column": 6,
          "byte": 33
        }
      },
      "snippet": {
        "context": "model \"m\"",
        "code": "  nam = \"convnet\"",
        "start_line": 3,
        "highlight_start_offset": 2,
        "highlight_end_offset": 5,
        "values": []
      }
    }
  ]`
	if !strings.Contains(out.String(), want) || got["format_version"] != "1.0" || got["valid"] != false || got["error_count"] != 2.0 || got["warning_count"] != 0.0 {
		t.Error(out.String())
	}
	out.Reset()
	hclspec.WriteJSON(&out, nil, nil)
	if out.String() != "{\n  \"format_version\": \"1.0\",\n  \"valid\": true,\n  \"error_count\": 0,\n  \"warning_count\": 0,\n  \"diagnostics\": []\n}\n" {
		t.Error(out.String())
	}
}

func TestReportAsText(t *testing.T) {
	_, out := loadText(t, "pipeline \"p\" {}\nmodel \"m\" {\n  name = \"covnet\"\n}\n", validateOptions())
	want := `Error: Unknown model

  on MAIN line 3, in model "m":
   3:   name = "covnet"
               ^^^^^^^^

The adapter "native" has no model "covnet" for image_classification. Did you
mean "convnet"? List them with: runner models --framework native

`
	if i := strings.Index(out, "  on "); i >= 0 {
		j := i + strings.Index(out[i:], " line ")
		out = out[:i+5] + "MAIN" + out[j:]
	}
	if out != want {
		t.Errorf("%s\nwant:\n%s", out, want)
	}
}

func TestFormat(t *testing.T) {
	for in, want := range map[string]string{
		"a={b=1,\ncc=2}":                    "a = { b = 1,\ncc = 2 }\n",
		"x   {\ny=1 # one\nlong=2 # two\n}": "x {\n  y    = 1 # one\n  long = 2 # two\n}\n",
		"":                                  "",
	} {
		got, diags := hclspec.Format([]byte(in), "x.hcl")
		if diags.HasErrors() || string(got) != want {
			t.Errorf("%q -> %q, want %q (%v)", in, got, want, diags)
		}
	}
	if got, diags := hclspec.Format([]byte("a = "), "x.hcl"); !diags.HasErrors() || string(got) != "a = " {
		t.Error("text with errors must stay as it is")
	}
	paths, _ := filepath.Glob("testdata/valid/*.hcl")
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		if got, _ := hclspec.Format(text, path); !bytes.Equal(got, text) {
			t.Errorf("%s is not formatted", path)
		}
	}
}

// TestWatchdogEndsTheProcess re-runs this test binary with a tiny limit.
func TestWatchdogEndsTheProcess(t *testing.T) {
	if os.Getenv("HCLSPEC_WATCHDOG") != "" {
		stop := hclspec.Watchdog(os.Stderr, hclspec.Limits{CPU: 20 * time.Millisecond})
		defer stop()
		for {
			loadText(t, hostile.Texts["for in for"], planOptions())
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestWatchdogEndsTheProcess")
	cmd.Env = append(os.Environ(), "HCLSPEC_WATCHDOG=1")
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "Evaluation takes too much") || !strings.Contains(out.String(), "CPU time") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
