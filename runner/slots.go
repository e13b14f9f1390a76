package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// resource names the machine resource of which a step takes a slot, and how
// many there are: locally one training per machine, or one per GPU. Steps
// that take none are bounded by --parallelism.
func (a *Applier) resource(s PlannedStep, exec pipelines.ExecutorConfig) (name string, n int) {
	if s.Kind != pipelines.KindTrain || !isLocal(exec) {
		return "", 0
	}
	host, _ := os.Hostname()
	if s.Device == "cuda" {
		return host + "/cuda", max(a.GPUs, 1)
	}
	return host + "/cpu", 1
}

// slotDevice is the device that a training uses with a slot: the GPU of the
// slot's number, unless it named another.
func slotDevice(dec *decision, slot int) string {
	device := concrete(dec.spec.Train.Device, dec.Device)
	if device == "cuda" {
		return fmt.Sprintf("cuda:%d", slot)
	}
	return device
}

// slot leases a slot, waiting for as long as it takes. The lease is the
// store's, so that applies of other pipelines on this machine wait too. One
// whose step still works although its apply is gone (orphan) is waited for.
func (a *Applier) slot(ctx context.Context, resource string, n int, orphan func(slot int) (string, error), tell func(Notice)) (slot int, release func(), err error) {
	me := NewHolder("train")
	for told := ""; ; {
		slot, ok, err := a.Store.AcquireSlot(ctx, resource, n, me)
		if err != nil {
			return 0, nil, err
		}
		waiting := fmt.Sprintf("waiting for a free slot on %s (%d in all)", resource, n)
		if ok {
			release := func() {
				// Were it not released, the lease would end with this process.
				_ = a.Store.ReleaseSlot(context.WithoutCancel(ctx), resource, slot, me.ID)
			}
			who, err := orphan(slot)
			if err == nil && who == "" {
				return slot, release, nil
			}
			release()
			if err != nil {
				return 0, nil, err
			}
			waiting = fmt.Sprintf("waiting for %s, which works still on %s although its apply is gone", who, resource)
		}
		if told != waiting {
			told = waiting
			tell(Notice{Type: NoticeStepWaiting, Message: waiting})
		}
		if !sleep(ctx, a.poll()) {
			return 0, nil, pipelines.Errorf(pipelines.CodeCancelled, "cancelled while waiting for a slot on %s", resource)
		}
	}
}

// orphan finds a local training that lives on a device whose slot nobody else
// holds: its lease ended with the apply that started it. It names the step;
// "" = there is none. The run mine is to be adopted and does not count.
func (a *Applier) orphan(ctx context.Context, device string, mine *pipelines.Run) (string, error) {
	runs, err := a.Store.Runs(ctx, RunFilter{Status: pipelines.StatusRunning})
	if err != nil {
		return "", err
	}
	for _, run := range runs {
		if run.Kind != pipelines.KindTrain || mine != nil && run.ID == mine.ID {
			continue
		}
		if cfg := executorOf(run); !isLocal(cfg) {
			continue
		}
		at, exec, err := a.open(ctx, run)
		if err != nil || at == nil {
			continue // nothing that could be asked
		}
		task, err := spool.ReadTask(filepath.Join(at.Dir, spool.TaskFile))
		if err != nil || task.Train == nil || task.Train.Device != device {
			continue
		}
		if live, err := exec.Probe(ctx, *at); err == nil && live == Alive {
			return fmt.Sprintf("%s of pipeline %q (run %s)", run.Address, run.Pipeline, run.ID), nil
		}
	}
	return "", nil
}
