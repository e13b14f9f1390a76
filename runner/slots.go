package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// resource is what bounds how many steps run at once on a machine.
type resource struct {
	name string // "" = nothing; --parallelism does
	n    int    // slots in all
	want int    // slots that the step takes
}

// resource names the machine resource of which a step takes slots: one
// training per machine, or per GPU. A container takes as many GPUs as its
// executor asks for, whatever the step does.
func (a *Applier) resource(s PlannedStep, exec pipelines.ExecutorConfig) resource {
	host, _ := os.Hostname()
	gpus := 0
	if isContainer(exec) {
		gpus = gpusOf(exec)
	}
	switch {
	case gpus > 0:
		return resource{host + "/cuda", max(a.HostGPUs, gpus), gpus}
	case s.Kind != pipelines.KindTrain || !isLocal(exec) && !isContainer(exec):
		return resource{}
	case s.Device == "cuda":
		return resource{host + "/cuda", max(a.GPUs, 1), 1}
	}
	return resource{host + "/cpu", 1, 1}
}

// isContainer reports that steps run in containers on this machine.
func isContainer(c pipelines.ExecutorConfig) bool { return c.Type == "dagger" }

// slotDevice is the device that a training uses with a slot: the GPU of the
// slot's number, unless it named another.
func slotDevice(dec *decision, slot int) string {
	if isContainer(dec.exec) || dec.spec.Train == nil {
		if gpusOf(dec.exec) > 0 {
			return fmt.Sprintf("cuda:%d", slot)
		}
		return "cpu"
	}
	device := concrete(dec.spec.Train.Device, dec.Device)
	if device == "cuda" {
		return fmt.Sprintf("cuda:%d", slot)
	}
	return device
}

// slots leases slots, all that are wanted or none, waiting for as long as it
// takes. The lease is the store's, so that applies of other pipelines on this
// machine wait too. One whose step still works although its apply is gone
// (orphan) is waited for.
func (a *Applier) slots(ctx context.Context, r resource, orphan func(slot int) (string, error), tell func(Notice)) (slots []int, release func(), err error) {
	for told := ""; ; {
		waiting := fmt.Sprintf("waiting for a free slot on %s (%d in all)", r.name, r.n)
		if r.want > 1 {
			waiting = fmt.Sprintf("waiting for %d free slots on %s (%d in all)", r.want, r.name, r.n)
		}
		slots, release, who, err := a.lease(ctx, r, orphan)
		if pipelines.CodeOf(err) == pipelines.CodeUnavailable { // a database that is started anew, say
			slots, waiting = nil, fmt.Sprintf("waiting for the store, to lease a slot on %s: %s", r.name, err)
		} else if err != nil {
			return nil, nil, err
		}
		if len(slots) == r.want {
			return slots, release, nil
		}
		if who != "" {
			waiting = fmt.Sprintf("waiting for %s, which works still on %s although its apply is gone", who, r.name)
		}
		if told != waiting {
			told = waiting
			tell(Notice{Type: NoticeStepWaiting, Message: waiting})
		}
		if !Sleep(ctx, a.poll()) {
			return nil, nil, pipelines.Errorf(pipelines.CodeCancelled, "cancelled while waiting for a slot on %s", r.name)
		}
	}
}

// Slot waits for room for a training of another machine and sets the task's
// device to it. tell takes what is waited for.
func (a *Applier) Slot(ctx context.Context, task *pipelines.Task, tell func(string)) (release func(), err error) {
	s := PlannedStep{Kind: task.Kind}
	s.Device, _, _ = strings.Cut(task.Train.Device, ":")
	nobody := func(int) (string, error) { return "", nil }
	slots, release, err := a.slots(ctx, a.resource(s, pipelines.ExecutorConfig{}), nobody, func(n Notice) { tell(n.Message) })
	if err != nil {
		return nil, err
	}
	if task.Train.Device == "cuda" {
		train := *task.Train
		train.Device = fmt.Sprintf("cuda:%d", slots[0])
		task.Train = &train
	}
	return release, nil
}

// lease tries once to take all slots that are wanted. It takes none when one
// is missing; who then names the step that works on one without a lease.
func (a *Applier) lease(ctx context.Context, r resource, orphan func(slot int) (string, error)) (slots []int, release func(), who string, err error) {
	var held []func()
	release = func() {
		for _, f := range held {
			f()
		}
	}
	for len(slots) < r.want {
		me := NewHolder("train")
		slot, ok, err := a.Store.AcquireSlot(ctx, r.name, r.n, me)
		if err == nil && ok {
			held = append(held, func() {
				// Were it not released, the lease would end with this process.
				_ = a.Store.ReleaseSlot(context.WithoutCancel(ctx), r.name, slot, me.ID)
			})
			who, err = orphan(slot)
		}
		if err != nil || !ok || who != "" {
			release()
			return nil, nil, who, err
		}
		slots = append(slots, slot)
	}
	return slots, release, "", nil
}

// orphan finds a training that lives on a device of this machine whose slot nobody else
// holds: its lease ended with the apply that started it. It names the step;
// "" = there is none. The run mine is to be adopted and does not count.
func (a *Applier) orphan(ctx context.Context, device string, slot int, mine *pipelines.Run) (string, error) {
	runs, err := a.Store.Runs(ctx, RunFilter{Status: pipelines.StatusRunning})
	if err != nil {
		return "", err
	}
	for _, run := range runs {
		if run.Kind != pipelines.KindTrain || mine != nil && run.ID == mine.ID {
			continue
		}
		cfg := executorOf(run)
		if !isLocal(cfg) && !isContainer(cfg) {
			continue
		}
		at, exec, err := a.open(ctx, run)
		if err != nil || at == nil {
			continue // nothing that could be asked
		}
		task, err := spool.ReadTask(filepath.Join(at.Dir, spool.TaskFile))
		if err != nil || task.Train == nil || !usesDevice(task, device, slot) {
			continue
		}
		if live, err := exec.Probe(ctx, *at); err == nil && live == Alive {
			return fmt.Sprintf("%s of pipeline %q (run %s)", run.Address, run.Pipeline, run.ID), nil
		}
	}
	return "", nil
}

// usesDevice reports that a task works on a device: "cpu", or the GPU of a slot.
func usesDevice(t pipelines.Task, device string, slot int) bool {
	if len(t.GPUs) > 0 {
		return device != "cpu" && slices.Contains(t.GPUs, slot)
	}
	return t.Train.Device == device
}
