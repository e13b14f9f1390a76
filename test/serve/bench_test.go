package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/pipelines"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
)

var (
	bench    = flag.Bool("bench", false, "measure the server")
	soak     = flag.Duration("soak", 2*time.Minute, "how long the soak is")
	watchers = flag.Int("watchers", 1000, "how many watch one run")
)

// TestBench measures what the server bears: make bench-serve.
func TestBench(t *testing.T) {
	if !*bench {
		t.Skip("a measurement: -args -bench, or make bench-serve")
	}
	t.Run("SQLite", func(t *testing.T) { measure(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { measure(t, pgtest.Start(t, "fsync=on").Database(t)) })
}

// Bounds that the measurements are held to.
const (
	wantEvents = 10_000 // metric events a second
	wantP99    = 20 * time.Millisecond
	wantGrowth = 0.05
)

func measure(t *testing.T, store string) {
	for i := range nextSeq {
		nextSeq[i].Store(0)
	}
	s := newSite(t, store)
	s.start("--workers", "0")
	ctx := context.Background()
	remote, err := storehttp.Open(ctx, "http://"+s.addr, token)
	if err != nil {
		t.Fatal(err)
	}
	const posters = 4
	for i := range posters + 2 { // two that are watched
		if _, err := remote.CreateRun(ctx, pipelines.Run{ID: fmt.Sprint("r", i), Pipeline: fmt.Sprint("p", i), Address: "train.t", Status: pipelines.StatusRunning,
			Kind: pipelines.KindTrain, Created: time.Now(), Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	rate, p50, p99 := ingest(t, s, posters, 20*time.Second, 0)
	t.Logf("ingest: %.0f metric events/s over HTTP in batches of %d; GET /api/v1/status meanwhile: p50 %s, p99 %s", rate, batchSize, p50, p99)
	if rate < wantEvents {
		t.Errorf("ingest: %.0f events/s, want %d", rate, wantEvents)
	}
	// A server that is fed as fast as it takes is no fair ground for latency:
	// the bound holds at the rate that was asked for.
	rate, p50, p99 = ingest(t, s, posters, 20*time.Second, wantEvents)
	t.Logf("status at %.0f events/s: p50 %s, p99 %s", rate, p50, p99)
	if p99 > wantP99 {
		t.Errorf("p99 of status is %s, want at most %s", p99, wantP99)
	}
	watch(t, s, "server-sent events", 4, *watchers, 20*time.Second, events)
	watch(t, s, "WebSockets", 5, *watchers, 20*time.Second, sockets)
	grow(t, s, *soak)
}

const batchSize = 500

var nextSeq [16]atomic.Int64

// ingest posts metric events of several runs for a while, at most rate a
// second (0 = as many as go), and asks for the status meanwhile.
func ingest(t *testing.T, s *site, posters int, d time.Duration, rate int) (perSecond float64, p50, p99 time.Duration) {
	t.Helper()
	var filed atomic.Int64
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			begun, sent := time.Now(), 0
			for time.Now().Before(until) {
				if rate > 0 {
					time.Sleep(time.Until(begun.Add(time.Duration(sent) * time.Second * time.Duration(posters) / time.Duration(rate))))
				}
				if !post(t, s, p, batchSize) {
					return
				}
				sent += batchSize
				filed.Add(batchSize)
			}
		})
	}
	var took []time.Duration
	for time.Now().Before(until) {
		start := time.Now()
		if body, ok := get(t, s, "/api/v1/status"); !ok || !bytes.Contains(body, []byte(`"state"`)) {
			break
		}
		took = append(took, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
	if len(took) == 0 {
		t.Fatal("status did not answer")
	}
	slices.Sort(took)
	return float64(filed.Load()) / d.Seconds(), took[len(took)/2].Round(100 * time.Microsecond), took[len(took)*99/100].Round(100 * time.Microsecond)
}

var httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}

// post sends a batch of a poster's run.
func post(t *testing.T, s *site, p, n int) bool {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"run_id":"r%d","events":[`, p)
	for i := range n {
		seq := nextSeq[p].Add(1)
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"v":1,"attempt":1,"seq":%d,"time":"2026-01-02T03:04:05.678Z","type":"metrics","metrics":{"epoch":%d,"global_step":%d,"split":"train","values":{"loss":%g}}}`,
			seq, seq/1000+1, seq, 1/float64(seq))
	}
	b.WriteString("]}")
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/api/v1/internal/training/callback", &b)
	if err != nil {
		t.Error(err)
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := httpClient.Do(req)
	if err != nil {
		t.Error(err)
		return false
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(fmt.Sprintf(`"new":%d`, n))) {
		t.Errorf("callback: %d %s %v", res.StatusCode, text, err)
		return false
	}
	return true
}

func get(t *testing.T, s *site, path string) ([]byte, bool) {
	res, err := httpClient.Get("http://" + s.addr + path)
	if err != nil {
		t.Error(err)
		return nil, false
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %s %v", path, res.StatusCode, text, err)
	}
	return text, err == nil
}

// stream opens one reader of a run and hands each event's id on until seen
// returns false. opened is called once, when the server has answered.
type stream func(ctx context.Context, s *site, run int, opened func(), seen func(id string) bool) error

// watch lets many follow a run that nobody posted to yet, at 20 events a
// second: each gets every event.
func watch(t *testing.T, s *site, what string, run, n int, d time.Duration, open stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d+time.Minute)
	defer cancel()
	total := int64(d.Seconds() * 20)
	var opening, all sync.WaitGroup
	var whole, behind atomic.Int64
	var wrong atomic.Value
	opening.Add(n)
	for range n {
		all.Go(func() {
			next := int64(1)
			opened := sync.OnceFunc(opening.Done)
			defer opened()
			err := open(ctx, s, run, opened, func(id string) bool {
				seq, err := strconv.ParseInt(strings.TrimPrefix(id, "1-"), 10, 64)
				if err != nil || seq != next {
					wrong.CompareAndSwap(nil, fmt.Sprintf("event %s came where %d was due", id, next))
					return false
				}
				if nextSeq[run].Load() > seq+60 {
					behind.Add(1)
				}
				next++
				return next <= total
			})
			if err != nil {
				wrong.CompareAndSwap(nil, fmt.Sprintf("after event %d: %v", next-1, err))
			}
			if next > total {
				whole.Add(1)
			}
		})
	}
	opening.Wait()
	begun := time.Now()
	for i := range total {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * 50 * time.Millisecond)))
		if !post(t, s, run, 1) {
			return
		}
	}
	sent := time.Since(begun)
	all.Wait()
	t.Logf("watchers by %s: %d of %d got all %d events (%.1f/s for %s), the last %s after the last was sent; %d reads were more than 3 s behind", what, whole.Load(), n, total,
		float64(total)/sent.Seconds(), sent.Round(time.Second), (time.Since(begun) - sent).Round(10*time.Millisecond), behind.Load())
	if whole.Load() != int64(n) {
		t.Errorf("%s: %d of %d watchers got every event; %v", what, whole.Load(), n, wrong.Load())
	}
}

var watchClient = &http.Client{Transport: &http.Transport{}}

// events reads server-sent events.
func events(ctx context.Context, s *site, run int, opened func(), seen func(string) bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/api/v1/runs/r%d/events", s.addr, run), nil)
	if err != nil {
		return err
	}
	res, err := watchClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	opened()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 4096), 1<<20)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok && !seen(id) {
			return nil
		}
	}
	return lines.Err()
}

// sockets reads a WebSocket.
func sockets(ctx context.Context, s *site, run int, opened func(), seen func(string) bool) error {
	dialer := websocket.Dialer{HandshakeTimeout: 30 * time.Second}
	c, res, err := dialer.DialContext(ctx, fmt.Sprintf("ws://%s/api/v1/ws?run=r%d", s.addr, run), nil)
	if err != nil {
		if res != nil {
			return fmt.Errorf("%w (%s)", err, res.Status)
		}
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	opened()
	for {
		var m struct {
			ID    string `json:"id"`
			Event string `json:"event"`
		}
		if err := c.ReadJSON(&m); err != nil {
			return err
		}
		if m.Event == "dropped" {
			return errors.New("dropped as slow")
		}
		if m.ID != "" && !seen(m.ID) {
			return nil
		}
	}
}

// grow feeds and asks the server for a while; its memory after the first
// minute and at the end are alike.
func grow(t *testing.T, s *site, d time.Duration) {
	t.Helper()
	warm := min(time.Minute, d/2)
	ingest(t, s, 2, warm, 2000)
	first := memory(t, s)
	for left := d - warm; left > 0; left -= 30 * time.Second {
		ingest(t, s, 2, min(left, 30*time.Second), 2000)
	}
	last := memory(t, s)
	growth := float64(last-first) / float64(first)
	t.Logf("soak of %s at 2000 events/s: %.1f MB after %s, %.1f MB at the end: %+.1f %%", d, float64(first)/1e6, warm, float64(last)/1e6, 100*growth)
	if growth > wantGrowth {
		t.Errorf("memory grew by %.1f %%, want less than %.0f %%", 100*growth, 100*wantGrowth)
	}
}

// memory is the server's resident set in bytes: the least of some seconds,
// since what the collector has not looked at yet is not what stays.
func memory(t *testing.T, s *site) int64 {
	t.Helper()
	least := int64(1 << 62)
	for range 20 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
				kb, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				least = min(least, kb<<10)
			}
		}
		time.Sleep(250 * time.Millisecond)
	}
	return least
}
