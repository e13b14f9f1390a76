package adaptertest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"github.com/trainwright/trainwright/pipelines"
)

// count counts the events that match.
func count(events []pipelines.Event, match func(pipelines.Event) bool) int {
	n := 0
	for _, e := range events {
		if match(e) {
			n++
		}
	}
	return n
}

// isUnderWay: training has begun.
func isUnderWay(e pipelines.Event) bool { return e.Metrics != nil || e.Progress != nil }

func isCheckpoint(e pipelines.Event) bool {
	return e.Checkpoint != nil && e.Checkpoint.Name != "latest" && e.Checkpoint.Name != "best"
}

func resumedOf(a attemptEnd) *pipelines.Resumed {
	for _, e := range a.events {
		if e.Resumed != nil {
			return e.Resumed
		}
	}
	return nil
}

// checkKilled kills a training after its first checkpoint, again before the
// next, and lets the third attempt end.
func checkKilled(p *probe) {
	whole := p.whole()
	task := p.task()
	x := p.start(task)
	if !x.until(func(e []pipelines.Event) bool { return count(e, isCheckpoint) > 0 }) {
		p.fatalf("the training ended without a checkpoint\n%s", x.log.String())
	}
	x.kill()
	seen := curve(attemptEnd{events: x.seen})

	second := p.start(attempt(task, 2))
	second.until(func(e []pipelines.Event) bool { return count(e, isUnderWay) > 0 })
	second.kill()
	maps.Copy(seen, curve(attemptEnd{events: second.seen}))

	third := p.complete(attempt(task, 3))
	p.checkOrder(attempt(task, 3), third)
	if r := resumedOf(third); r == nil || r.GlobalStep < 1 || r.Checkpoint == "" {
		p.fatalf("the third attempt did not tell from where it resumed: %+v", r)
	}
	maps.Copy(seen, curve(third))
	p.sameEnd("killed twice and resumed", whole, third)
	if p.exact() {
		p.sameCurve("killed twice and resumed", curve(whole), seen)
	}
	p.sameMetrics("killed twice and resumed", curve(whole), seen)
}

// checkStopped stops a training by SIGTERM: it writes a checkpoint where it
// stands and ends as cancelled; the next attempt goes on from there.
func checkStopped(p *probe) {
	whole := p.whole()
	task := p.task()
	x := p.start(task)
	x.until(func(e []pipelines.Event) bool { return count(e, isUnderWay) > 0 })
	_ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGTERM)
	a := x.wait()
	r := a.result()
	if r.State == pipelines.StatusCompleted {
		p.skip("the training was over before the signal came; give the harness a longer one")
	}
	if r.State != pipelines.StatusCancelled || a.code != 8 {
		p.fatalf("after SIGTERM: exit code %d, result %q (%s)\n%s", a.code, r.State, r.Error, a.log)
	}
	var last *pipelines.Checkpoint
	for _, e := range a.events {
		if c := e.Checkpoint; c != nil && c.Name != "best" {
			last = c
		}
	}
	if last == nil && p.exact() && !p.WholeEpochs {
		p.fatalf("no checkpoint was written on SIGTERM")
	}
	second := p.complete(attempt(task, 2))
	p.checkOrder(attempt(task, 2), second)
	if last == nil { // the next attempt began anew
		if p.exact() {
			p.sameEnd("stopped before its first checkpoint and begun anew", whole, second)
		}
		return
	}
	from := resumedOf(second)
	if from == nil || from.GlobalStep != last.GlobalStep {
		p.errorf("the next attempt resumed from %+v, the checkpoint written on SIGTERM has global step %d", from, last.GlobalStep)
	}
	p.sameEnd("stopped and resumed", whole, second)
}

// checkBroken damages the newest checkpoint: the next attempt must notice and
// go on from the one before.
func checkBroken(p *probe) {
	whole := p.whole()
	task := p.task()
	x := p.start(task)
	if !x.until(func(e []pipelines.Event) bool { return count(e, isCheckpoint) > 1 }) {
		p.fatalf("the training ended with fewer than two checkpoints\n%s", x.log.String())
	}
	x.kill()
	// One more may have been written since; the newest on disk is what counts.
	list := attemptEnd{events: x.seen}.checkpoints()
	newest := list[len(list)-1]
	before := list[len(list)-2]
	p.damage(newest.Path)
	if ext := filepath.Ext(newest.Path); ext != "" { // and its twin, where checkpoints are single files
		p.damage(filepath.Join(filepath.Dir(newest.Path), "latest"+ext))
	}
	second := p.complete(attempt(task, 2))
	if from := resumedOf(second); from == nil || from.GlobalStep == newest.GlobalStep {
		p.errorf("the damaged checkpoint at global step %d was not passed over: resumed from %+v", newest.GlobalStep, from)
	} else if from.GlobalStep < before.GlobalStep {
		p.errorf("resumed from global step %d, though the checkpoint at %d is whole", from.GlobalStep, before.GlobalStep)
	}
	p.sameEnd("resumed past a damaged checkpoint", whole, second)
}

// checkNoCheckpoint damages them all: training begins anew and ends the same.
func checkNoCheckpoint(p *probe) {
	whole := p.whole()
	task := p.task()
	x := p.start(task)
	x.until(func(e []pipelines.Event) bool { return count(e, isCheckpoint) > 0 })
	x.kill()
	entries, err := os.ReadDir(filepath.Join(task.RunDir, "checkpoints"))
	if err != nil {
		p.fatalf("%v", err)
	}
	for _, e := range entries {
		p.damage(filepath.Join(task.RunDir, "checkpoints", e.Name()))
	}
	second := p.complete(attempt(task, 2))
	p.checkOrder(attempt(task, 2), second)
	if from := resumedOf(second); from != nil && from.GlobalStep > 0 {
		p.errorf("resumed from %+v, though every checkpoint is damaged", from)
	}
	p.sameEnd("begun anew", whole, second)
}

// damage cuts every file under a path short, as a full disk would.
func (p *probe) damage(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return // a link whose target is gone is damage enough
	}
	err = filepath.WalkDir(real, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Truncate(file, info.Size()/2)
	})
	if err != nil {
		p.fatalf("%v", err)
	}
}
