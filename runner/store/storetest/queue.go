package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// QueueStore is a store that keeps a queue too.
type QueueStore interface {
	runner.Store
	runner.Queue
}

// RunQueue runs the suite of runner.Queue. open gives, for one test, a
// function that opens the same state each time it is called.
func RunQueue(t *testing.T, open func(t *testing.T) func(t *testing.T) QueueStore) {
	tests := []struct {
		name string
		run  func(*testing.T, QueueStore, QueueStore)
	}{
		{"Submit", testSubmit},
		{"JobIDs", testJobIDs},
		{"IdempotencyKey", testIdempotencyKey},
		{"Order", testQueueOrder},
		{"Capacity", testCapacity},
		{"OnePipelineAtATime", testOnePipeline},
		{"Lease", testLease},
		{"Abandoned", testAbandoned},
		{"Cancel", testQueueCancel},
		{"Notices", testNotices},
		{"ClaimedOnce", testClaimedOnce},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			again := open(t)
			tt.run(t, again(t), again(t))
		})
	}
}

func submission(id string) runner.Submission {
	return runner.Submission{ID: id, Kind: runner.SubmissionApply, Pipeline: "p-" + id, Resource: "cpu", State: runner.SubmissionQueued, Created: clock, Queued: clock,
		Work: []byte(`{"files":{"main.hcl":"pipeline \"p\" {}\n"}}`)}
}

func submit(t *testing.T, s QueueStore, change func(*runner.Submission), ids ...string) {
	t.Helper()
	for _, id := range ids {
		n := submission(id)
		if change != nil {
			change(&n)
		}
		if _, fresh, err := s.Submit(context.Background(), n); err != nil || !fresh {
			t.Fatalf("submit %s: %v, %v", id, fresh, err)
		}
	}
}

var plenty = map[string]int{"cpu": 100}

// leaseOf is a lease of this process, which lives.
func leaseOf(owner string) runner.Lease {
	return runner.Lease{Owner: owner, Holder: runner.NewHolder("test"), For: time.Minute}
}

func claim(t *testing.T, s QueueStore, owner string, capacity map[string]int) string {
	t.Helper()
	c, ok, err := s.Claim(context.Background(), leaseOf(owner), capacity, clock)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	return c.ID
}

func testSubmit(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	submit(t, s, nil, "a", "b")
	got := must(other.Submission(ctx, "a"))(t)
	if got.State != runner.SubmissionQueued || got.Status != pipelines.StatusPending || string(got.Work) != string(submission("a").Work) ||
		!got.Queued.Equal(clock) || got.JobID != 0 {
		t.Errorf("read back %+v", got)
	}
	all := must(s.Submissions(ctx, runner.SubmissionFilter{}))(t)
	if len(all) != 2 || all[0].ID != "b" || all[0].Work != nil {
		t.Errorf("list %+v", all)
	}
	if one := must(s.Submissions(ctx, runner.SubmissionFilter{Pipeline: "p-a", State: runner.SubmissionQueued}))(t); len(one) != 1 || one[0].ID != "a" {
		t.Errorf("filtered %+v", one)
	}
	_, err := s.Submission(ctx, "none")
	wantCode(t, err, pipelines.CodeNotFound)
	_, err = s.SubmissionByJob(ctx, 77)
	wantCode(t, err, pipelines.CodeNotFound)
	ok(t, s.Describe(ctx, "a", "", "run1"))
	if got := must(s.Submission(ctx, "a"))(t); got.Pipeline != "p-a" || got.RunID != "run1" {
		t.Errorf("described %+v", got)
	}
}

// testJobIDs reserves numbers that no run gets but the one that asks for it.
func testJobIDs(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	training := func(n *runner.Submission) { n.Kind = runner.SubmissionTraining }
	first := newRun(t, s, "r1")
	submit(t, s, training, "a", "b")
	next := newRun(t, s, "r2")
	a, b := must(other.Submission(ctx, "a"))(t), must(other.Submission(ctx, "b"))(t)
	if !(first.JobID < a.JobID && a.JobID < b.JobID && b.JobID < next.JobID) {
		t.Errorf("job ids %d %d %d %d", first.JobID, a.JobID, b.JobID, next.JobID)
	}
	if got := must(s.SubmissionByJob(ctx, a.JobID))(t); got.ID != "a" {
		t.Errorf("by job: %s", got.ID)
	}
	run := must(s.CreateRun(ctx, pipelines.Run{ID: "mine", JobID: a.JobID, Status: pipelines.StatusRunning}))(t)
	if got := must(s.RunByJob(ctx, a.JobID))(t); run.JobID != a.JobID || got.ID != "mine" {
		t.Errorf("run of the reserved job: %+v, %+v", run, got)
	}
	_, err := s.CreateRun(ctx, pipelines.Run{ID: "second", JobID: a.JobID})
	wantCode(t, err, pipelines.CodeConflict)
	if after := newRun(t, s, "r3"); after.JobID <= next.JobID {
		t.Errorf("job id %d after %d", after.JobID, next.JobID)
	}
}

func testIdempotencyKey(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	n := submission("a")
	n.Kind, n.Key, n.KeyHash = runner.SubmissionTraining, "k", "h"
	filed, fresh, err := s.Submit(ctx, n)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	n.ID = "b"
	again, fresh, err := other.Submit(ctx, n)
	if err != nil || fresh || again.ID != "a" || again.JobID != filed.JobID {
		t.Errorf("again: %+v %v %v", again, fresh, err)
	}
	n.KeyHash = "other"
	_, _, err = s.Submit(ctx, n)
	wantCode(t, err, pipelines.CodeConflict)
}

func testQueueOrder(t *testing.T, s, _ QueueStore) {
	ctx := context.Background()
	submit(t, s, nil, "a")
	submit(t, s, func(n *runner.Submission) { n.Priority = 5 }, "b", "c")
	submit(t, s, func(n *runner.Submission) { n.State = runner.SubmissionCreated }, "later")
	for _, want := range []string{"b", "c", "a", ""} {
		if got := claim(t, s, "w-"+want, plenty); got != want {
			t.Errorf("claimed %q, want %q", got, want)
		}
	}
	if n := must(s.Enqueue(ctx, "later", clock))(t); n.State != runner.SubmissionQueued {
		t.Errorf("queued: %+v", n)
	}
	if got := claim(t, s, "w", plenty); got != "later" {
		t.Errorf("claimed %q", got)
	}
	if n := must(s.Enqueue(ctx, "later", clock))(t); n.State != runner.SubmissionRunning {
		t.Errorf("one that runs was queued: %+v", n)
	}
	ok(t, s.Finish(ctx, "later", "w", runner.Ending{Status: pipelines.StatusFailed, ExitCode: 4, Error: "no"}, clock))
	if n := must(s.Submission(ctx, "later"))(t); n.Status != pipelines.StatusFailed || n.Ending == nil || n.Ending.ExitCode != 4 || !n.Ended.Equal(clock) {
		t.Errorf("ended: %+v", n)
	}
	if n := must(s.Enqueue(ctx, "later", clock))(t); n.State != runner.SubmissionQueued || n.Ending != nil || n.Takes != 0 {
		t.Errorf("resumed: %+v", n)
	}
}

func testCapacity(t *testing.T, s, _ QueueStore) {
	gpu := func(n *runner.Submission) { n.Resource = "gpu" }
	submit(t, s, gpu, "g1", "g2")
	submit(t, s, nil, "c1", "c2")
	capacity := map[string]int{"cpu": 1, "gpu": 1}
	for _, want := range []string{"g1", "c1", ""} {
		if got := claim(t, s, "w-"+want, capacity); got != want {
			t.Errorf("claimed %q, want %q", got, want)
		}
	}
	ok(t, s.Finish(context.Background(), "g1", "w-g1", runner.Ending{Status: pipelines.StatusCompleted}, clock))
	if got := claim(t, s, "w", capacity); got != "g2" {
		t.Errorf("claimed %q, want g2", got)
	}
	elsewhere := leaseOf("e")
	elsewhere.Holder.Host, elsewhere.Holder.BootID = "elsewhere", "b"
	if c, got, err := s.Claim(context.Background(), elsewhere, capacity, clock); err != nil || !got || c.ID != "c2" {
		t.Errorf("another machine has its own: %v %v %v", c.ID, got, err)
	}
}

func testOnePipeline(t *testing.T, s, _ QueueStore) {
	same := func(n *runner.Submission) { n.Pipeline = "same" }
	submit(t, s, same, "a", "b")
	if got := claim(t, s, "w", plenty); got != "a" {
		t.Fatalf("claimed %q", got)
	}
	if got := claim(t, s, "w2", plenty); got != "" {
		t.Errorf("claimed %q while its pipeline runs", got)
	}
	ok(t, s.Finish(context.Background(), "a", "w", runner.Ending{Status: pipelines.StatusCompleted}, clock))
	if got := claim(t, s, "w2", plenty); got != "b" {
		t.Errorf("claimed %q", got)
	}
}

func testLease(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	submit(t, s, nil, "a")
	if got := claim(t, s, "w", plenty); got != "a" {
		t.Fatalf("claimed %q", got)
	}
	if cancel, err := other.Renew(ctx, "a", leaseOf("w"), clock.Add(time.Hour)); err != nil || cancel {
		t.Errorf("renew: %v %v", cancel, err)
	}
	if n := must(s.Submission(ctx, "a"))(t); !n.Until.Equal(clock.Add(time.Hour+time.Minute)) || n.Takes != 1 {
		t.Errorf("renewed: %+v", n)
	}
	_, err := other.Renew(ctx, "a", leaseOf("thief"), clock)
	wantCode(t, err, pipelines.CodeConflict)
	wantCode(t, other.Finish(ctx, "a", "thief", runner.Ending{Status: pipelines.StatusCompleted}, clock), pipelines.CodeConflict)
	ok(t, other.Finish(ctx, "a", "w", runner.Ending{Status: pipelines.StatusCompleted}, clock))
	_, err = s.Renew(ctx, "a", leaseOf("w"), clock)
	wantCode(t, err, pipelines.CodeConflict)
}

// testAbandoned takes over what is known to be left, and nothing else.
func testAbandoned(t *testing.T, s, _ QueueStore) {
	ctx := context.Background()
	late := clock.Add(time.Hour)
	gone := leaseOf("gone")
	gone.Holder.StartTime = "1" // a process of that pid, and not this one
	here := leaseOf("here")
	elsewhere := leaseOf("elsewhere")
	elsewhere.Holder.Host, elsewhere.Holder.BootID = "elsewhere", "b"
	for _, l := range []runner.Lease{here, elsewhere, gone} {
		submit(t, s, nil, l.Owner)
		if c, got, err := s.Claim(ctx, l, plenty, clock); err != nil || !got || c.ID != l.Owner {
			t.Fatalf("claim %s: %v %v %v", l.Owner, c.ID, got, err)
		}
	}
	if got := claim(t, s, "w1", plenty); got != "gone" {
		t.Errorf("claimed %q; the process of gone is", got)
	}
	if got := claim(t, s, "w2", plenty); got != "" {
		t.Errorf("claimed %q, whose lease goes on", got)
	}
	c, got, err := s.Claim(ctx, leaseOf("w3"), map[string]int{}, late)
	if err != nil || !got || c.ID != "elsewhere" || c.Takes != 2 || c.Owner != "w3" {
		t.Errorf("after the lease: %+v %v %v", c, got, err)
	}
	if c, got, err := s.Claim(ctx, leaseOf("w4"), plenty, late); err != nil || got {
		t.Errorf("claimed %s, whose process lives here: %v", c.ID, err)
	}
	_, err = s.Renew(ctx, "elsewhere", elsewhere, late)
	wantCode(t, err, pipelines.CodeConflict)
}

func testQueueCancel(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	submit(t, s, nil, "waits", "runs")
	if n := must(s.AskCancel(ctx, "waits", clock))(t); n.State != runner.SubmissionEnded || n.Status != pipelines.StatusCancelled || n.Ending.ExitCode != 8 {
		t.Errorf("one that waited: %+v", n)
	}
	if got := claim(t, s, "w", plenty); got != "runs" {
		t.Fatalf("claimed %q", got)
	}
	if n := must(s.AskCancel(ctx, "runs", clock))(t); n.State != runner.SubmissionRunning || !n.Cancel {
		t.Errorf("one that runs: %+v", n)
	}
	gone := leaseOf("w")
	gone.Holder.StartTime = "1"
	if cancel, err := other.Renew(ctx, "runs", gone, clock); err != nil || !cancel {
		t.Errorf("its process hears of it: %v %v", cancel, err)
	}
	c, got, err := s.Claim(ctx, leaseOf("w2"), plenty, clock)
	if err != nil || !got || c.ID != "runs" || !c.Stop {
		t.Errorf("its process died: %+v %v %v", c, got, err)
	}
	_, err = s.AskCancel(ctx, "none", clock)
	wantCode(t, err, pipelines.CodeNotFound)
}

func testNotices(t *testing.T, s, other QueueStore) {
	ctx := context.Background()
	submit(t, s, nil, "a")
	ok(t, s.AppendNotices(ctx, "a", 0, []runner.Notice{{Version: 1, Type: runner.NoticeStepStarted, Address: "train.a", RunID: "r"}}))
	for range 2 { // the answer to the first was lost
		ok(t, other.AppendNotices(ctx, "a", 1, []runner.Notice{{Version: 1, Type: runner.NoticeStepEnded, Message: "x"}, {Version: 1, Type: runner.NoticeApplyEnded}}))
	}
	got, last, err := s.Notices(ctx, "a", 1, 1)
	if err != nil || len(got) != 1 || got[0].Message != "x" || last != 2 {
		t.Errorf("one after the first: %+v %d %v", got, last, err)
	}
	if got, last, err := s.Notices(ctx, "a", 3, 0); err != nil || len(got) != 0 || last != 3 {
		t.Errorf("after the last: %+v %d %v", got, last, err)
	}
	wantCode(t, s.AppendNotices(ctx, "none", 0, nil), pipelines.CodeNotFound)
}

// testClaimedOnce lets many claim at once: each submission goes to one of them.
func testClaimedOnce(t *testing.T, s, other QueueStore) {
	const total = 40
	for i := range total {
		submit(t, s, nil, fmt.Sprintf("s%02d", i))
	}
	var mu sync.Mutex
	seen := map[string]string{}
	var wg sync.WaitGroup
	for w := range 8 {
		store := []QueueStore{s, other}[w%2]
		wg.Go(func() {
			for i := 0; ; i++ {
				owner := fmt.Sprintf("w%d-%d", w, i)
				c, got, err := store.Claim(context.Background(), leaseOf(owner), plenty, clock)
				if pipelines.CodeOf(err) == pipelines.CodeUnavailable || pipelines.CodeOf(err) == pipelines.CodeConflict {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !got {
					return
				}
				mu.Lock()
				if was, twice := seen[c.ID]; twice {
					t.Errorf("%s was claimed by %s and %s", c.ID, was, owner)
				}
				seen[c.ID] = owner
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != total {
		t.Errorf("%d of %d were claimed", len(seen), total)
	}
}
