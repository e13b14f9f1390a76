package hclspec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/trainwright/trainwright/hclspec"
	"github.com/trainwright/trainwright/hclspec/hostile"
	"github.com/trainwright/trainwright/pipelines"
)

// cpu is the processor time that this process has used: what other processes
// do on the machine must not fail the test.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHostileTexts: each ends in diagnostics within 3 seconds.
func TestHostileTexts(t *testing.T) {
	for name, text := range hostile.Texts {
		t.Run(name, func(t *testing.T) {
			started := cpu()
			opts := planOptions()
			opts.Sources = []pipelines.Source{{Filename: "main.hcl", Text: []byte(text)}}
			_, files, diags := hclspec.Load(t.Context(), ".", opts)
			loaded := cpu() - started
			var out bytes.Buffer
			hclspec.WriteText(&out, files, diags, hclspec.TextOptions{})
			hclspec.WriteJSON(&out, files, diags)
			took := cpu() - started
			if took > 3*time.Second {
				t.Errorf("took %s (load %s)", took, loaded)
			}
			if diags.HasErrors() == hostile.Harmless[name] {
				t.Errorf("errors: %v", diags)
			}
			if out.Len() > 20<<20 {
				t.Errorf("%d bytes of output", out.Len())
			}
			for _, d := range diags {
				if strings.Contains(d.Summary, "Internal") {
					t.Errorf("%s", d.Detail)
				}
			}
			if testing.Verbose() && len(diags) > 0 {
				t.Logf("%s: %s: %.120s", took, diags[0].Summary, diags[0].Detail)
			}
			if len(diags) > 0 && diags[0].Summary == "Source is too complex" {
				return // refused before anything is formatted, too
			}
			if _, diags := hclspec.Format([]byte(text), "main.hcl"); cpu()-started-took > 3*time.Second {
				t.Errorf("formatting took %s %v", cpu()-started-took, diags)
			}
		})
	}
}

func TestFoldersThatAreNoPipelines(t *testing.T) {
	dir := t.TempDir()
	load := func() hcl.Diagnostics {
		_, _, diags := hclspec.Load(t.Context(), dir, validateOptions())
		return diags
	}
	if d := load(); len(d) != 1 || d[0].Summary != "No pipeline files" {
		t.Error(d)
	}
	if _, _, d := hclspec.Load(t.Context(), filepath.Join(dir, "nowhere"), validateOptions()); len(d) != 1 || d[0].Summary != "Cannot read pipeline files" {
		t.Error(d)
	}
	os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o755)
	if d := load(); len(d) != 1 || !strings.Contains(d[0].Detail, "not a regular file") {
		t.Error(d)
	}
}
