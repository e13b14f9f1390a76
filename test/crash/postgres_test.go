package crash

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/postgres"
)

// TestDatabaseGoesAway stops the database in the middle of a training, and
// once kills it; the training does not notice, and the rows are those of one
// that nobody disturbed.
func TestDatabaseGoesAway(t *testing.T) {
	server := pgtest.Start(t)
	ways := []struct {
		name string
		end  func()
	}{
		{"undisturbed", nil},
		{"stopped", server.Stop},
		{"killed", func() {
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
		}},
	}
	var want map[string]float64
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			address := server.Database(t)
			l := newLab(t, fakePipeline, fake.EnvDelay+"=120ms", "RUNNER_STORE="+address)
			l.open = func() runner.Store {
				s, err := postgres.Open(context.Background(), address)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			l.images(8, 12, 3, "a", "b")
			cmd, out := l.apply()
			if way.end != nil {
				// twice: with the training under way, and again further on
				for _, rows := range []int{5, 60} {
					for deadline := time.Now().Add(time.Minute); len(l.rows(true)) < rows; time.Sleep(20 * time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatalf("no %d rows within a minute\n%s", rows, out)
						}
					}
					way.end()
					before := spoolLines(t, l.dir)
					time.Sleep(700 * time.Millisecond)
					if spoolLines(t, l.dir) <= before {
						t.Error("the training waited for the database")
					}
					if err := server.Up(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("apply: %v\n%s", err, out)
			}
			s := l.open()
			defer s.Close()
			run := l.runs(s)[0]
			if attempts, err := s.Attempts(context.Background(), run.ID); err != nil || len(attempts) != 1 || run.Status != pipelines.StatusCompleted {
				t.Errorf("%s with %d attempts, want one that completed; %v\n%s", run.Status, len(attempts), err, out)
			}
			(&round{lab: l}).nothingLost()
			got := l.comparable()
			if way.end == nil {
				want = got
			}
			if len(want) < 100 {
				t.Fatalf("an undisturbed training has %d rows", len(want))
			}
			sameRows(t, want, got)
			if way.end != nil {
				t.Logf("%d rows; the apply said:\n%s", len(got), out)
			}
		})
	}
}

// spoolLines counts what steps have reported.
func spoolLines(t *testing.T, dir string) int {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(dir, ".runner", "runs", "*"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("run folders: %v, %v", runs, err)
	}
	n := 0
	for _, run := range runs {
		n += len(spooled(t, run))
	}
	return n
}
