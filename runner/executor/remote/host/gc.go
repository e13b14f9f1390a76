package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// How long the files of a run stay after anything was written there: a client
// that has them may go on with the run, and one that has not may be switched
// off. Who goes on with a run that is gone here sends its checkpoints.
const (
	homeAge     = 24 * time.Hour
	unaskedDays = 30
)

// Garbage lists the runs' folders below dir, that of a Host's Config, which
// can go.
func Garbage(dir string, now time.Time) ([]runner.Garbage, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []runner.Garbage
	for _, e := range entries {
		if !e.IsDir() || !idForm.MatchString(e.Name()) {
			continue
		}
		g := runner.Garbage{RunID: e.Name(), Dir: filepath.Join(dir, e.Name())}
		last, err := lookAt(&g)
		if err != nil {
			return nil, err
		}
		quiet := now.Sub(last)
		switch {
		case last.IsZero():
			continue // at work
		case g.Reason != "" && quiet > homeAge:
		case quiet > unaskedDays*24*time.Hour:
			g.Reason = fmt.Sprintf("a step of another machine, which has not fetched it for %d days", unaskedDays)
		default:
			continue
		}
		g.Bytes = runner.Size(g.Dir)
		out = append(out, g)
	}
	return out, nil
}

// lookAt tells when a run's folder was last written to, and fills in whose it
// is, and the reason if all of it is home. The time is zero while an attempt works.
func lookAt(g *runner.Garbage) (last time.Time, err error) {
	later := func(path string) bool {
		info, err := os.Stat(path)
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return err == nil
	}
	later(g.Dir)
	attempts, err := os.ReadDir(filepath.Join(g.Dir, "attempts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return last, err
	}
	newest := 0
	for _, e := range attempts {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(g.Dir, "attempts", e.Name())
		later(dir)
		ended, home := later(filepath.Join(dir, exitFile)), later(filepath.Join(dir, homeFile))
		if !ended {
			held, err := spool.Held(dir)
			if err != nil {
				return last, err
			}
			if held {
				return time.Time{}, nil
			}
		}
		if n < newest {
			continue
		}
		var order remote.Order
		if _, err := durable.ReadJSON(filepath.Join(dir, orderFile), &order); err != nil {
			return last, err
		}
		newest, g.Reason = n, ""
		g.Pipeline, g.Address = order.Task.Pipeline, order.Task.Address
		if ended && home {
			g.Reason = "a step of another machine, which has fetched all of it"
		}
	}
	return last, nil
}
