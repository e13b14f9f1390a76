package runner

import (
	"context"
	"fmt"
	"os"

	"github.com/trainwright/trainwright/pipelines"
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

// slot leases a slot, waiting for as long as it takes. The lease is the
// store's, so that applies of other pipelines on this machine wait too.
func (a *Applier) slot(ctx context.Context, resource string, n int, tell func(Notice)) (slot int, release func(), err error) {
	me := NewHolder("train")
	for told := false; ; told = true {
		slot, ok, err := a.Store.AcquireSlot(ctx, resource, n, me)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			return slot, func() {
				// Were it not released, the lease would end with this process.
				_ = a.Store.ReleaseSlot(context.WithoutCancel(ctx), resource, slot, me.ID)
			}, nil
		}
		if !told {
			tell(Notice{Type: NoticeStepWaiting, Message: fmt.Sprintf("waiting for a free slot on %s (%d in all)", resource, n)})
		}
		if !sleep(ctx, a.poll()) {
			return 0, nil, pipelines.Errorf(pipelines.CodeCancelled, "cancelled while waiting for a slot on %s", resource)
		}
	}
}
