package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{pipelines.Errorf(pipelines.CodeInvalid, "x"), 1},
		{exitStatus(exitChanges), 2},
		{exitStatus(exitDiffers), 3},
		{pipelines.Errorf(pipelines.CodeStepFailed, "x"), 4},
		{fmt.Errorf("wrapped: %w", pipelines.Errorf(pipelines.CodeCheckFailed, "x")), 5},
		{pipelines.Errorf(pipelines.CodeStale, "x"), 6},
		{pipelines.Errorf(pipelines.CodeLocked, "x"), 7},
		{pipelines.Errorf(pipelines.CodeCancelled, "x"), 8},
		{context.Canceled, 8},
		{fmt.Errorf("plan: %w", context.Canceled), 8},
		{pipelines.Errorf(pipelines.CodeTimeout, "x"), 124},
		{context.DeadlineExceeded, 124},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v ends with %d, want %d", c.err, got, c.want)
		}
	}
}

func scriptTexts(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var texts []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}
