package adaptertest

import (
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// checkBad: a training whose data cannot be read fails, says which file it is,
// blames the data and leaves nothing to go on from.
func checkBad(p *probe) {
	if p.Bad == nil {
		p.skip("the harness has no bad data")
	}
	task, name, err := p.Bad(p.dir)
	if err != nil {
		p.fatalf("%v", err)
	}
	a := p.run(p.place(task))
	r := a.result()
	if r.State != pipelines.StatusFailed || a.code == 0 {
		p.fatalf("with data that cannot be read the training ended with exit code %d, state %q", a.code, r.State)
	}
	if r.Cause != pipelines.CauseData {
		p.errorf("data that cannot be read is told as cause %q, not %q: %s", r.Cause, pipelines.CauseData, r.Error)
	}
	if !strings.Contains(r.Error, name) {
		p.errorf("the error does not name %s, which cannot be read: %s", name, r.Error)
	}
	for _, e := range a.events {
		if e.Checkpoint != nil {
			p.errorf("a checkpoint was announced all the same")
			break
		}
	}
}
