package host_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/executor/remote"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
)

// TestPathsStayInTheRun: whatever a client names, nothing outside of what a
// run sends and fetches is read or written.
func TestPathsStayInTheRun(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "remote")
	secret := filepath.Join(top, "secret")
	for _, d := range []string{"run/checkpoints/epoch_1", "run/attempts/1", "other/checkpoints"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"leak": secret, "up": "../../../secret", "folder": top} {
		if err := os.Symlink(to, filepath.Join(dir, "run/checkpoints", name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{secret: "a secret", filepath.Join(dir, "run/attempts/1/order.json"): "{}", filepath.Join(dir, "run/checkpoints/epoch_1/state"): "whole"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := host.New(t.Context(), host.Config{Dir: dir, Executor: &local.Executor{}, Adapters: adapters.Registry{}})
	serve := func(method string, c remote.Call) (remote.Answer, error) {
		if c.RunID == "" {
			c.RunID = "run"
		}
		if c.Attempt == 0 {
			c.Attempt = 2
		}
		return h.Serve(context.Background(), method, c)
	}

	if a, err := serve(remote.MethodRead, remote.Call{Path: "checkpoints/epoch_1/state"}); err != nil || string(a.Data) != "whole" {
		t.Errorf("a file of the run: %q, %v", a.Data, err)
	}
	for _, path := range []string{"", "/etc/passwd", "../secret", "checkpoints/../../secret", "checkpoints/leak", "checkpoints/up", "checkpoints/folder/secret", "attempts/1/order.json",
		"checkpoints", "checkpoints/epoch_1", "inputs/x", "checkpoints//epoch_1/state", "checkpoints/./epoch_1/state", `checkpoints\..\..\secret`, "checkpoints/epoch_1/state\x00"} {
		if a, err := serve(remote.MethodRead, remote.Call{Path: path}); err == nil || len(a.Data) > 0 {
			t.Errorf("read %q: %q", path, a.Data)
		}
	}
	for _, c := range []remote.Call{
		{Path: "attempts/2/task.json"}, {Path: "artifacts/x"}, {Path: "inputs/../attempts/2/order.json"}, {Path: "checkpoints/up"}, {Path: "checkpoints/folder/x"}, {Path: "checkpoints/leak"},
		{Path: "/tmp/x"}, {Path: "inputs/0/w", Link: "../../x"}, {Path: "inputs/0/w", Link: "/etc/passwd"}, {Path: "inputs/0/new", At: 10}, {Path: "inputs/0/w", At: -1},
		{Path: "inputs/0/w", Data: make([]byte, remote.Piece+1)}, {Path: "inputs/0/late", Attempt: 1}, // of an attempt that was handed in
		{Path: "inputs/0/w", RunID: "../other"}, {Path: "inputs/0/w", RunID: ".."}, {Path: "inputs/0/w", RunID: "a/b"}, {Path: "inputs/0/w", RunID: ".hidden"},
	} {
		if c.Data == nil {
			c.Data = []byte("written")
		}
		if _, err := serve(remote.MethodWrite, c); err == nil {
			t.Errorf("write %q (link %q, at %d, run %q, attempt %d) was taken", c.Path, c.Link, c.At, c.RunID, c.Attempt)
		}
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "a secret" {
		t.Errorf("the file outside holds %q: %v", text, err)
	}
	for i, piece := range []string{"0123", "4567", "4567", "89"} { // one of them twice
		if _, err := serve(remote.MethodWrite, remote.Call{Path: "inputs/0/w", At: []int64{0, 4, 4, 8}[i], Data: []byte(piece)}); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "run/inputs/0/w")); err != nil || string(text) != "0123456789" {
		t.Errorf("what was sent is %q: %v", text, err)
	}
	a, err := serve(remote.MethodFiles, remote.Call{})
	if err != nil || len(a.Files) != 1 || a.Files[0].Path != "checkpoints/epoch_1/state" {
		t.Errorf("files %+v, %v: links out of the run are none of its files", a.Files, err)
	}
	for _, method := range []string{remote.MethodStart, remote.MethodFollow, remote.MethodStop, "nonsense"} {
		if _, err := serve(method, remote.Call{Attempt: 7}); pipelines.CodeOf(err) != pipelines.CodeInvalid && pipelines.CodeOf(err) != pipelines.CodeNotFound {
			t.Errorf("%s of nothing: %v", method, err)
		}
	}
}
