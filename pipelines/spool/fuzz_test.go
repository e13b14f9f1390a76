package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/pipelines/spool"
)

// FuzzReader: whatever stands in a spool, reading ends, never goes back, and
// a Writer can go on behind it.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"v":1,"attempt":1,"seq":1,"type":"message","message":{"level":"info","text":"x"}}` + "\n" + `{"v":1,`))
	f.Add([]byte("\n\n\x00\xff\n{}\n[]\nnull\n"))
	f.Add([]byte(`{"v":1,"attempt":1,"seq":9223372036854775806,"type":"metrics","metrics":{"values":{"loss":"NaN"}}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, spool.EventsFile)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := spool.NewReader(path, 1, 0)
		for {
			before := r.Offset()
			events, err := r.Next()
			var bad *spool.LineError
			if err != nil && !errors.As(err, &bad) {
				t.Fatal(err)
			}
			if r.Offset() == before {
				if len(events) > 0 || err != nil {
					t.Fatalf("%d events and %v without an advance", len(events), err)
				}
				break
			}
		}
		w, err := spool.NewWriter(dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := w.Emit(message("on")); err != nil {
			t.Fatal(err)
		}
		events, _ := r.Next()
		if len(events) != 1 || events[0].Message == nil || events[0].Message.Text != "on" {
			t.Fatalf("after writing on: %+v", events)
		}
	})
}
