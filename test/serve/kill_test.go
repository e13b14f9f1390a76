package serve

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
	"github.com/trainwright/trainwright/web"
	"github.com/trainwright/trainwright/web/submit"
)

var (
	jobs  = flag.Int("jobs", 6, "how many jobs are queued")
	every = flag.Duration("every", 700*time.Millisecond, "the mean time between kills")
)

// jobSource is a training of 8 epochs. seed makes its content its own.
func jobSource(i int) string {
	return fmt.Sprintf(`
pipeline "job%d" {}
dataset "d" {
  format = "imagefolder"
  path   = "data"
}
model "m" {
  adapter = "fake"
  name    = "tiny"
  task    = "image_classification"
}
train "t" {
  model      = model.m
  dataset    = dataset.d
  epochs     = 8
  batch_size = 4
  seed       = %d
  retry {
    attempts = 100
    on       = ["infrastructure", "preempted", "oom"]
  }
}
`, i, i)
}

// TestKilledQueue kills server, work processes and steps (and the database)
// at random while jobs are queued: every job completes, and each has the rows
// of one that nobody disturbed, none lost and none doubled.
func TestKilledQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("a suite of its own: make test-serve")
	}
	t.Run("SQLite", func(t *testing.T) { killedQueue(t, "", nil) })
	t.Run("PostgreSQL", func(t *testing.T) {
		server := pgtest.Start(t, "fsync=on")
		killedQueue(t, server.Database(t), func() error {
			if err := server.Kill(); err != nil {
				return err
			}
			return server.Up()
		})
	})
}

func killedQueue(t *testing.T, store string, killDatabase func() error) {
	s := newSite(t, store, "FAKE_STEP_DELAY=30ms")
	s.images()
	s.start("--workers", "3")
	ctx := context.Background()
	ids := make([]string, *jobs+1)
	for i := range ids {
		var filed web.Apply
		sub := submit.Submission{Files: map[string]string{"main.hcl": jobSource(i)}, Source: fmt.Sprint("job ", i)}
		if err := s.c.Post(ctx, "/api/v1/pipelines/apply", client.Key(), sub, &filed); err != nil {
			t.Fatal(err)
		}
		ids[i] = filed.ApplyID
		if i == 0 { // the one that nobody disturbs
			wait(t, s, ids[:1], time.Now().Add(2*time.Minute))
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := map[string]int{}
	deadline := time.Now().Add(time.Duration(*jobs)*20*time.Second + time.Minute)
	for !ended(t, s, ids) {
		if time.Now().After(deadline) {
			t.Fatalf("the jobs do not end; kills %v", kills)
		}
		time.Sleep(time.Duration(random.Int64N(int64(2 * *every))))
		role := []string{"serve", "work", "step"}[random.IntN(3)]
		if killDatabase != nil && random.IntN(6) == 0 {
			kills["database"]++
			if err := killDatabase(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if role == "serve" {
			kills[role]++
			s.kill()
			time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
			s.start("--workers", "3")
			continue
		}
		var victims []process
		for _, p := range s.processes() {
			if p.role == role {
				victims = append(victims, p)
			}
		}
		if len(victims) > 0 {
			kills[role]++
			_ = syscall.Kill(victims[random.IntN(len(victims))].pid, syscall.SIGKILL) // it may have ended just now
		}
	}
	t.Logf("%d jobs, kills %v", *jobs, kills)
	remote, err := storehttp.Open(ctx, "http://"+s.addr, token)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]float64
	for i, id := range ids {
		var one web.Apply
		if err := s.c.Get(ctx, "/api/v1/applies/"+id, &one); err != nil {
			t.Fatal(err)
		}
		if one.Status != pipelines.StatusCompleted {
			t.Errorf("job %d (%s) ended as %s after %d takes: %s", i, id, one.Status, one.Takes, one.Error)
			continue
		}
		runs, err := remote.Runs(ctx, runner.RunFilter{ApplyID: id})
		// A run that was filed and not begun when its process was killed is
		// retired: it has no attempt.
		if err != nil || len(runs) == 0 || runs[0].Status != pipelines.StatusCompleted ||
			slices.ContainsFunc(runs[1:], func(r pipelines.Run) bool { return r.Status != pipelines.StatusCancelled || r.Attempts > 0 }) {
			for _, r := range runs {
				t.Errorf("job %d has the run %s, %s after %d attempts: %s", i, r.ID, r.Status, r.Attempts, r.Error)
			}
			continue
		}
		rows, err := remote.Metrics(ctx, runner.MetricFilter{RunID: runs[0].ID})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, r := range rows {
			key := fmt.Sprintf("%s/%s/%s@%d.%d", r.Split, r.Name, r.Class, r.Epoch, r.GlobalStep)
			if _, twice := got[key]; twice {
				t.Errorf("job %d has %s twice", i, key)
			}
			got[key] = r.Value
		}
		if want == nil {
			want = got
			continue
		}
		for key := range want {
			if _, ok := got[key]; !ok {
				t.Errorf("job %d lost %s (%d attempts)", i, key, runs[0].Attempts)
			}
		}
		if len(got) != len(want) {
			t.Errorf("job %d has %d rows, want %d: %v", i, len(got), len(want), slices.Sorted(maps.Keys(got)))
		}
	}
	if len(want) < 30 {
		t.Errorf("an undisturbed job has %d rows", len(want))
	}
}

func ended(t *testing.T, s *site, ids []string) bool {
	t.Helper()
	var list web.ApplyList
	if err := s.c.Get(context.Background(), "/api/v1/applies?limit=200", &list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range list.Applies {
		if a.State == runner.SubmissionEnded && slices.Contains(ids, a.ApplyID) {
			n++
		}
	}
	return n == len(ids)
}

func wait(t *testing.T, s *site, ids []string, deadline time.Time) {
	t.Helper()
	for !ended(t, s, ids) {
		if time.Now().After(deadline) {
			t.Fatal("the job does not end")
		}
		time.Sleep(100 * time.Millisecond)
	}
}
