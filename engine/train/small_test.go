package train

import (
	"context"
	"strings"
	"testing"
)

func TestFewerImagesThanABatchIsAnErrorNotACrash(t *testing.T) {
	needRuntime(t)
	cfg := small(t)
	cfg.Train = pictures(t, t.TempDir(), 5, 3)
	cfg.BatchSize, cfg.DropLast = 8, true
	_, err := Run(context.Background(), cfg, func(Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "drop_last") {
		t.Errorf("got %v, want an error that names drop_last", err)
	}
}
