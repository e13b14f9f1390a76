package web

import (
	"context"
	"sync"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// feeds asks the store for the news of runs that somebody watches: once a run,
// however many watch it.
type feeds struct {
	ctx  context.Context // ends when the server drains
	cfg  Config
	mu   sync.Mutex
	runs map[string]*feed
	open int // readers of all runs
}

func newFeeds(ctx context.Context, cfg Config) *feeds {
	return &feeds{ctx: ctx, cfg: cfg, runs: map[string]*feed{}}
}

// join adds a reader to a run's feed; leave must be called once. It reports
// false when there are too many readers.
func (f *feeds) join(run pipelines.Run) (fd *feed, leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open >= f.cfg.Streams {
		return nil, nil, false
	}
	f.open++
	fd = f.runs[run.ID]
	if fd == nil {
		ctx, cancel := context.WithCancel(f.ctx)
		fd = &feed{id: run.ID, cfg: f.cfg, run: run, wake: make(chan struct{}), cancel: cancel}
		f.runs[run.ID] = fd
		go fd.poll(ctx)
	}
	fd.readers++
	return fd, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open--
		if fd.readers--; fd.readers == 0 {
			fd.cancel()
			delete(f.runs, run.ID)
		}
	}, true
}

func (f *feeds) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// feedTail is how many of a watched run's newest events are kept. A reader
// farther behind reads the store. So the memory of a run's feed is bounded
// however slow its readers are: nothing is queued for any of them.
const feedTail = 1024

// feed is a watched run: its newest state and events.
type feed struct {
	id      string // of the run
	cfg     Config
	cancel  context.CancelFunc
	readers int // guarded by feeds.mu

	mu     sync.Mutex
	run    pipelines.Run
	wake   chan struct{}  // closed when there is news
	known  bool           // whether base and last are
	base   runner.EventID // of the event before the tail
	last   runner.EventID // newest that was asked for
	newest []pipelines.Event
}

// now is the run as last seen, and a channel that is closed on the next news.
// Events filed before the run was seen are found by after.
func (f *feed) now() (pipelines.Run, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.run, f.wake
}

// feedPage is how many events are read at once.
const feedPage = 500

// after lists events after a position; more says that there may be others.
// Within an attempt events are filed in order, and an attempt's after those of
// the one before, so that a position never lies behind an event filed later.
func (f *feed) after(ctx context.Context, pos runner.EventID) (events []pipelines.Event, more bool, err error) {
	f.mu.Lock()
	if f.known && !before(pos, f.base) {
		for _, e := range f.newest {
			if before(pos, place(e)) {
				events = append(events, e)
			}
		}
		f.mu.Unlock()
		return events, false, nil
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	events, err = f.cfg.Store.Events(ctx, f.id, pos, feedPage)
	if err != nil || len(events) == feedPage {
		return events, true, err
	}
	if len(events) > 0 {
		pos = place(events[len(events)-1])
	}
	f.mu.Lock()
	if !f.known { // the first reader that caught up says where the tail begins
		f.known, f.base, f.last = true, pos, pos
	}
	f.mu.Unlock()
	return events, false, nil
}

// poll asks the store until the last reader left.
func (f *feed) poll(ctx context.Context) {
	tick := time.NewTicker(f.cfg.Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := f.look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.cfg.Log.Warn("a watched run cannot be read; trying on", "run", f.id, "error", err)
		}
		failing = err != nil
	}
}

// look reads the run first and its events then, so that a run seen as ended
// has all its events in the tail.
func (f *feed) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	run, err := f.cfg.Store.Run(ctx, f.id)
	if err != nil {
		return err
	}
	f.mu.Lock()
	known, last := f.known, f.last
	f.mu.Unlock()
	var fresh []pipelines.Event
	for known {
		page, err := f.cfg.Store.Events(ctx, f.id, last, feedPage)
		if err != nil {
			return err
		}
		fresh = append(fresh, page...)
		if len(page) < feedPage {
			break
		}
		last = place(page[len(page)-1])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	news := len(fresh) > 0 || changed(f.run, run)
	f.run = run
	if len(fresh) > 0 {
		f.last = place(fresh[len(fresh)-1])
		f.newest = append(f.newest, fresh...)
		if over := len(f.newest) - feedTail; over > 0 {
			f.base = place(f.newest[over-1])
			f.newest = append([]pipelines.Event(nil), f.newest[over:]...)
		}
	}
	if news {
		close(f.wake)
		f.wake = make(chan struct{})
	}
	return nil
}

// changed reports news of a run's row.
func changed(a, b pipelines.Run) bool {
	same := a.Progress == nil && b.Progress == nil || a.Progress != nil && b.Progress != nil && *a.Progress == *b.Progress
	return a.Status != b.Status || a.Attempts != b.Attempts || !same
}

func place(e pipelines.Event) runner.EventID {
	return runner.EventID{Attempt: e.Attempt, Seq: e.Seq}
}

func before(a, b runner.EventID) bool {
	return a.Attempt < b.Attempt || a.Attempt == b.Attempt && a.Seq < b.Seq
}
