package web

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// durations is the histogram of how long steps took that ended while this
// server served. Each scrape looks for those that ended since the last.
type durations struct {
	cfg   Config
	since time.Time
	hist  *prometheus.HistogramVec

	mu   sync.Mutex
	open map[string]bool // runs that had not ended
	done map[string]bool // of the newest runs, those that were counted
}

func newDurations(cfg Config) *durations {
	return &durations{cfg: cfg, since: cfg.Now(), open: map[string]bool{}, done: map[string]bool{}, hist: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trainwright_step_duration_seconds", Help: "Time from start to end of steps that ended while this server served.",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600},
	}, []string{"pipeline", "kind", "status"})}
}

func (d *durations) Describe(ch chan<- *prometheus.Desc) { d.hist.Describe(ch) }

func (d *durations) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), workTimeout/2)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.look(ctx)
	d.hist.Collect(ch)
}

// look counts what ended. A store that does not answer is told by runCollector,
// and what ended meanwhile is found by the next scrape.
func (d *durations) look(ctx context.Context) {
	runs, err := d.cfg.Store.Runs(ctx, runner.RunFilter{Limit: statusRuns})
	if err != nil {
		return
	}
	listed, done := map[string]bool{}, map[string]bool{}
	for _, run := range runs {
		listed[run.ID] = true
		switch {
		case !run.Status.Ended():
			d.open[run.ID] = true
		case d.done[run.ID] || run.Ended.Before(d.since):
			done[run.ID] = true
		default:
			done[run.ID] = true
			d.count(run)
		}
	}
	d.done = done
	for id := range d.open {
		if listed[id] {
			if done[id] {
				delete(d.open, id)
			}
			continue
		}
		run, err := d.cfg.Store.Run(ctx, id) // an old one, that newer ones pushed out of the list
		switch {
		case pipelines.CodeOf(err) == pipelines.CodeNotFound:
			delete(d.open, id)
		case err == nil && run.Status.Ended():
			delete(d.open, id)
			d.count(run)
		}
	}
}

func (d *durations) count(run pipelines.Run) {
	if run.Started.IsZero() {
		return // it never ran
	}
	label := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	pipeline := run.Pipeline
	if pipeline == trainingPrefix+run.ApplyID { // each has a pipeline of its own, and a histogram stays
		pipeline = "training"
	}
	d.hist.WithLabelValues(label(pipeline), label(string(run.Kind)), string(run.Status)).Observe(run.Ended.Sub(run.Started).Seconds())
}

var (
	queueDesc  = desc("queue_submissions", "Applies and trainings that were handed to this server and have not ended, by state.", "state")
	queueWaits = desc("queue_oldest_wait_seconds", "How long the oldest one has been queued.")
)

// queueCollector reads what waits and runs.
type queueCollector struct{ cfg Config }

func (q queueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueDesc
	ch <- queueWaits
}

func (q queueCollector) Collect(ch chan<- prometheus.Metric) {
	if q.cfg.Queue == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), workTimeout/2)
	defer cancel()
	for _, state := range []runner.SubmissionState{runner.SubmissionCreated, runner.SubmissionQueued, runner.SubmissionRunning} {
		found, err := q.cfg.Queue.Submissions(ctx, runner.SubmissionFilter{State: state})
		if err != nil {
			ch <- prometheus.NewInvalidMetric(queueDesc, pipelines.Errorf(pipelines.CodeUnavailable, "the store does not answer"))
			return
		}
		ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(len(found)), string(state))
		if state == runner.SubmissionQueued {
			wait := 0.0
			for _, s := range found {
				wait = max(wait, q.cfg.Now().Sub(s.Queued).Seconds())
			}
			ch <- prometheus.MustNewConstMetric(queueWaits, prometheus.GaugeValue, wait)
		}
	}
}
