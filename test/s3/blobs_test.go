package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/blobtest"
	"github.com/trainwright/trainwright/runner/blob/s3"
)

func TestSuite(t *testing.T) {
	server := startServer(t)
	n := 0
	blobtest.Run(t, func(t *testing.T) runner.Blobs {
		n++
		return server.open(t, s3.Config{Prefix: fmt.Sprintf("suite/%d", n), PartSize: 5 << 20})
	}, "this gateway keeps sizes and ETags in files beside the objects and replaces them one after the other")
}

func TestWrongCredentials(t *testing.T) {
	server := startServer(t)
	b := server.open(t, s3.Config{AccessKeyID: "access", SecretAccessKey: "wrong"})
	_, err := b.List(t.Context(), "")
	if pipelines.CodeOf(err) != pipelines.CodeInvalid || !strings.Contains(fmt.Sprint(err), "credentials") {
		t.Errorf("%v, want invalid and a word on credentials", err)
	}
}

func TestOutageIsUnavailable(t *testing.T) {
	server := startServer(t)
	b := server.open(t, s3.Config{})
	server.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.List(ctx, ""); pipelines.CodeOf(err) != pipelines.CodeUnavailable {
		t.Errorf("%v, want unavailable", err)
	}
}

// A download that was cut short fetches only what it lacks.
func TestDownloadGoesOn(t *testing.T) {
	server := startServer(t)
	b := server.open(t, s3.Config{PartSize: 5 << 20})
	data := blobtest.Random(1, 22<<20)
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "k", in); err != nil {
		t.Fatal(err)
	}
	list, err := b.List(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	// What a killed download leaves: two of five parts, and the journal of them.
	// Other bytes in those parts show that they are not fetched again.
	half := make([]byte, len(data))
	for i := range 10 << 20 {
		half[i] = data[i] ^ 0xff
	}
	hidden := filepath.Join(filepath.Dir(out), ".out")
	if err := os.WriteFile(hidden+".part", half, 0o644); err != nil {
		t.Fatal(err)
	}
	journal := fmt.Sprintf("%s %d %d\n0\n1\n", list[0].ETag, len(data), 5<<20)
	if err := os.WriteFile(hidden+".parts", []byte(journal), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Get(t.Context(), "k", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[10<<20:], data[10<<20:]) {
		t.Error("the missing parts are wrong")
	}
	if !bytes.Equal(got[:10<<20], half[:10<<20]) {
		t.Error("parts that were there were fetched again")
	}
	// A journal of another content counts for nothing.
	if err := os.WriteFile(hidden+".part", half, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hidden+".parts", []byte(strings.Replace(journal, list[0].ETag, `"other"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Get(t.Context(), "k", out); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); !bytes.Equal(got, data) {
		t.Error("parts of another content were used")
	}
}
