package adaptertest

import (
	"bytes"

	"github.com/trainwright/trainwright/pipelines"
)

// checkStartResume: a run that starts from another run's last checkpoint with
// everything in it goes on where that one ended.
func checkStartResume(p *probe) {
	first := p.whole()
	latest := first.result().Latest
	if latest == nil {
		p.fatalf("the result has no latest checkpoint")
	}
	task := p.task()
	task.Train.Epochs++
	task.Train.Start = &pipelines.Start{Checkpoint: *latest, Mode: pipelines.StartResume}
	second := p.complete(task)
	p.checkOrder(task, second)
	if r := resumedOf(second); r == nil || r.GlobalStep != latest.GlobalStep {
		p.errorf("started from a checkpoint at global step %d, told was %+v", latest.GlobalStep, r)
	}
	for _, e := range second.events {
		if m := e.Metrics; m != nil && m.GlobalStep <= latest.GlobalStep {
			p.errorf("step %d was trained again", m.GlobalStep)
			break
		}
	}
	// With a schedule that follows the number of epochs, the two may differ.
	if s, ok := task.Train.Config["scheduler.type"]; ok && s != "none" {
		return
	}
	longer := p.task()
	longer.Train.Epochs++
	p.sameEnd("started from the last checkpoint with one epoch more", p.complete(longer), second)
}

// checkStartWeights: a run that starts from the weights alone begins at step 0
// with them.
func checkStartWeights(p *probe) {
	first := p.whole()
	latest := first.result().Latest
	if latest == nil {
		p.fatalf("the result has no latest checkpoint")
	}
	task := p.task()
	task.Train.Start = &pipelines.Start{Checkpoint: *latest, Mode: pipelines.StartWeights}
	second := p.complete(task)
	p.checkOrder(task, second)
	if r := resumedOf(second); r != nil {
		p.errorf("a start from weights was told as resumed: %+v", r)
	}
	if n := len(second.checkpoints()); n < task.Train.Epochs {
		p.errorf("%d checkpoints, want those of %d epochs", n, task.Train.Epochs)
	}
	if bytes.Equal(p.final(first), p.final(second)) {
		p.errorf("the weights to start from made no difference")
	}
}
