package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/pipelines/durable"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan")
	for _, text := range []string{"old", "new"} {
		if err := durable.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != text || err != nil {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	blocked := filepath.Join(dir, "folder")
	if err := os.Mkdir(blocked, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(blocked, nil, 0o644); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note.json")
	var got map[string]int
	if ok, err := durable.ReadJSON(path, &got); ok || err != nil {
		t.Errorf("no file: %v, %v", ok, err)
	}
	if err := durable.WriteJSON(path, map[string]int{"n": 3}, 0o644); err != nil {
		t.Fatal(err)
	}
	if ok, err := durable.ReadJSON(path, &got); !ok || err != nil || got["n"] != 3 {
		t.Errorf("read %v, %v, %v", got, ok, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.ReadJSON(path, &got); err == nil {
		t.Error("half a note was read")
	}
}
