package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Live shows an apply on a terminal: lasting lines above, and one region below
// that is drawn again as training goes on: a line a running step.
type Live struct {
	mu     sync.Mutex
	w      io.Writer
	s      Style
	width  func() int // columns now; a terminal may be resized
	now    func() time.Time
	p      *Progress
	drawn  int // lines of the region on the screen
	last   time.Time
	closed bool
}

// maxRegion keeps the region below the height of a terminal.
const maxRegion = 10

// redrawEvery bounds how often the region is drawn.
const redrawEvery = 100 * time.Millisecond

// NewLive draws on w, a terminal of width() columns.
func NewLive(w io.Writer, s Style, width func() int, now func() time.Time) *Live {
	return &Live{w: w, s: s, width: width, now: now, p: newProgress()}
}

var _ runner.Observer = (*Live)(nil)

// Observe prints lasting lines at once and draws the region now and then.
func (v *Live) Observe(n runner.Notice) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	v.p.observe(n)
	out := lines(v.s, v.p, n)
	if len(out) == 0 && v.now().Sub(v.last) < redrawEvery {
		return
	}
	var b strings.Builder
	v.erase(&b)
	for _, line := range out {
		b.WriteString(line + "\n")
	}
	v.draw(&b)
	v.flush(&b)
}

// Close removes the region, so that what follows stands on clean lines.
func (v *Live) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	v.erase(&b)
	v.flush(&b)
	v.closed = true
}

func (v *Live) flush(b *strings.Builder) {
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone must not stop an apply
	v.last = v.now()
}

func (v *Live) erase(b *strings.Builder) {
	if v.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", v.drawn)
	}
	v.drawn = 0
}

func (v *Live) draw(b *strings.Builder) {
	width := v.width()
	if width <= 0 {
		width = 80
	}
	for i, a := range v.p.order {
		if i == maxRegion {
			b.WriteString(v.s.Cyan(fmt.Sprintf("  … and %d more", len(v.p.order)-i)) + "\n")
			v.drawn++
			break
		}
		line := cut(regionLine(v.p.steps[a], width), width-1) // the last column wraps on some terminals
		b.WriteString(v.s.Cyan(line) + "\n")
		v.drawn++
	}
}

// regionLine says where a running step is, the most telling things first, so
// that a narrow terminal cuts the rest.
func regionLine(s *stepState, width int) string {
	if s.waiting != "" {
		return fmt.Sprintf("  %s  waiting: %s", s.address, s.waiting)
	}
	p := s.progress
	if p == nil {
		return fmt.Sprintf("  %s  starting", s.address)
	}
	address := string(s.address)
	if limit := max(10, width/3); runewidth.StringWidth(address) > limit {
		address = cut(address, limit)
	}
	parts := []string{fmt.Sprintf("epoch %d/%d", p.Epoch, p.Epochs)}
	if width >= 100 {
		parts = append(parts, bar(p.Step, p.Steps, 10))
	}
	parts = append(parts, "loss "+Metric(p.Loss))
	if p.ETASeconds > 0 {
		parts = append(parts, "ETA "+eta(p.ETASeconds))
	}
	parts = append(parts, fmt.Sprintf("step %d/%d", p.Step, p.Steps), Rate(p.ImagesPerSecond))
	line := "  " + address + "  " + strings.Join(parts, "  ")
	if rest := width - 3 - runewidth.StringWidth(line); rest >= 3 {
		line += "  " + Sparkline(s.losses, min(rest, 24))
	}
	return line
}

func bar(done, total int64, width int) string {
	n := 0
	if total > 0 {
		n = int(min(done, total) * int64(width) / total)
	}
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", width-n) + "]"
}

// cut shortens text to the columns that it may take.
func cut(text string, columns int) string {
	return runewidth.Truncate(Clean(strings.ReplaceAll(text, "\n", " ")), max(columns, 1), "…")
}

// Best returns the validation of each step's best checkpoint.
func (v *Live) Best() map[pipelines.Address]pipelines.Validation {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.p.Best()
}
