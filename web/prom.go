package web

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// prom is what Prometheus reads: the store's runs, asked for at each scrape,
// requests, and this process.
type prom struct {
	requests *prometheus.HistogramVec
	serve    fiber.Handler
}

func newProm(cfg Config, fs *feeds) *prom {
	p := &prom{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trainwright_http_request_duration_seconds", Help: "Time until the response began, by route.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "status"})}
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		p.requests,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trainwright_streams", Help: "Open event streams."}, func() float64 { return float64(fs.count()) }),
		runCollector{cfg},
		newDurations(cfg),
		queueCollector{cfg},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	p.serve = adaptor.HTTPHandler(promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, // no Timeout: fasthttp's own context races with its shutdown
	}))
	return p
}

// observe counts every request and writes its error, so that the status is known.
func (s *Server) observe(c *fiber.Ctx) error {
	start := time.Now()
	err := c.Next()
	if err != nil {
		err = s.fail(c, err)
	}
	route := c.Route().Path
	if !s.known[route] {
		route = "other"
	}
	s.prom.requests.WithLabelValues(c.Method(), route, strconv.Itoa(c.Response().StatusCode())).Observe(time.Since(start).Seconds())
	return err
}

var runLabels = []string{"pipeline", "address", "job_id"}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trainwright_"+name, help, labels, nil)
}

var (
	stepsDesc  = desc("steps", "Steps by the status of their newest run.", "pipeline", "status")
	metricDesc = desc("run_metric", "A metric of a step's newest run's best checkpoint, once completed.", append(runLabels, "metric")...)
)

// progressDescs are gauges of runs that go on.
var progressDescs = []struct {
	desc  *prometheus.Desc
	value func(*pipelines.Progress) float64
}{
	{desc("run_epoch", "Epoch of a running step, counted from 1.", runLabels...), func(p *pipelines.Progress) float64 { return float64(p.Epoch) }},
	{desc("run_epochs", "Epochs a running step shall train.", runLabels...), func(p *pipelines.Progress) float64 { return float64(p.Epochs) }},
	{desc("run_global_step", "Optimizer updates of a running step.", runLabels...), func(p *pipelines.Progress) float64 { return float64(p.GlobalStep) }},
	{desc("run_loss", "Running mean of the epoch's loss of a running step.", runLabels...), func(p *pipelines.Progress) float64 { return p.Loss }},
	{desc("run_images_per_second", "Speed of a running step.", runLabels...), func(p *pipelines.Progress) float64 { return p.ImagesPerSecond }},
	{desc("run_eta_seconds", "Time that a running step expects to need.", runLabels...), func(p *pipelines.Progress) float64 { return p.ETASeconds }},
}

// runCollector reads the newest run of every step.
type runCollector struct{ cfg Config }

func (r runCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- stepsDesc
	ch <- metricDesc
	for _, d := range progressDescs {
		ch <- d.desc
	}
}

func (r runCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), workTimeout/2)
	defer cancel()
	runs, err := r.cfg.Store.Runs(ctx, runner.RunFilter{Newest: true, Limit: statusRuns})
	if err != nil {
		r.cfg.Log.Error("the store does not answer", "error", err)
		ch <- prometheus.NewInvalidMetric(stepsDesc, pipelines.Errorf(pipelines.CodeUnavailable, "the store does not answer"))
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		for i, l := range labels {
			labels[i] = strings.ToValidUTF8(l, "\uFFFD")
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	type kind struct{ pipeline, status string }
	count := map[kind]int{}
	for _, run := range runs {
		count[kind{run.Pipeline, string(run.Status)}]++
		job := strconv.FormatInt(run.JobID, 10)
		if run.Progress != nil && !run.Status.Ended() {
			for _, d := range progressDescs {
				gauge(d.desc, d.value(run.Progress), run.Pipeline, string(run.Address), job)
			}
		}
		if run.Result != nil {
			for name, v := range run.Result.Metrics {
				gauge(metricDesc, v, run.Pipeline, string(run.Address), job, name)
			}
		}
	}
	for k, n := range count {
		gauge(stepsDesc, float64(n), k.pipeline, k.status)
	}
}
