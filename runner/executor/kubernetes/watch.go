package kubernetes

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/trainwright/trainwright/runner"
)

// seenPod is a pod as the API server last told of it.
type seenPod struct {
	*corev1.Pod
	gone bool // it is no longer there
}

// state is what is known of an attempt's Job and pods.
type state struct {
	known   bool // the server has answered once
	job     *batchv1.Job
	jobGone bool
	pods    []seenPod // oldest first
	trouble error     // why nothing newer is known; nil while watching
	since   time.Time // of trouble
}

// watcher keeps a state up to date until its context ends. What it cannot
// learn it leaves as it was: unknown is not gone.
type watcher struct {
	c   *cluster
	rec record

	changed chan struct{} // has room for one
	mu      sync.Mutex
	s       state
	pods    map[types.UID]*seenPod
}

func newWatcher(c *cluster, rec record) *watcher {
	return &watcher{c: c, rec: rec, changed: make(chan struct{}, 1), pods: map[types.UID]*seenPod{}}
}

func (w *watcher) state() state {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.s
	for _, p := range w.pods {
		out.pods = append(out.pods, *p)
	}
	slices.SortFunc(out.pods, func(a, b seenPod) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func (w *watcher) update(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// run lists and watches, and lists again whenever a watch ends.
func (w *watcher) run(ctx context.Context) {
	for delay := 100 * time.Millisecond; ctx.Err() == nil; {
		began := time.Now()
		err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.update(func() {
				if w.s.trouble == nil {
					w.s.since = time.Now()
				}
				w.s.trouble = err
			})
		}
		if err == nil || time.Since(began) > 10*time.Second {
			delay = 100 * time.Millisecond
		}
		runner.Sleep(ctx, delay)
		delay = min(2*delay, 3*time.Second)
	}
}

func (w *watcher) selectors() (job, pods metav1.ListOptions) {
	return metav1.ListOptions{FieldSelector: "metadata.name=" + w.rec.Job}, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + w.rec.Job}
}

func (w *watcher) list(ctx context.Context) (*batchv1.JobList, *corev1.PodList, error) {
	byName, byJob := w.selectors()
	jobs, err := call(ctx, func(ctx context.Context) (*batchv1.JobList, error) {
		return w.c.batch.Jobs(w.rec.Namespace).List(ctx, byName)
	})
	if err != nil {
		return nil, nil, explain(err, "look at Job "+w.rec.Job, w.c)
	}
	pods, err := call(ctx, func(ctx context.Context) (*corev1.PodList, error) {
		return w.c.core.Pods(w.rec.Namespace).List(ctx, byJob)
	})
	if err != nil {
		return nil, nil, explain(err, "list the pods of Job "+w.rec.Job, w.c)
	}
	return jobs, pods, nil
}

func (w *watcher) once(ctx context.Context) error {
	jobs, pods, err := w.list(ctx)
	if err != nil {
		return err
	}
	w.update(func() { w.listed(jobs.Items, pods.Items) })

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	byName, byJob := w.selectors()
	byName.ResourceVersion, byJob.ResourceVersion = jobs.ResourceVersion, pods.ResourceVersion
	watchJobs, err := w.c.batch.Jobs(w.rec.Namespace).Watch(ctx, byName)
	if err != nil {
		return explain(err, "watch Job "+w.rec.Job, w.c)
	}
	defer watchJobs.Stop()
	watchPods, err := w.c.core.Pods(w.rec.Namespace).Watch(ctx, byJob)
	if err != nil {
		return explain(err, "watch the pods of Job "+w.rec.Job, w.c)
	}
	defer watchPods.Stop()
	for {
		var ev watch.Event
		var open bool
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev, open = <-watchJobs.ResultChan():
		case ev, open = <-watchPods.ResultChan():
		}
		if !open {
			return nil
		}
		if ev.Type == watch.Error {
			return nil // most often the version is too old: list again
		}
		w.update(func() { w.told(ev) })
	}
}

func (w *watcher) listed(jobs []batchv1.Job, pods []corev1.Pod) {
	w.s.known, w.s.trouble, w.s.jobGone = true, nil, true
	for i := range jobs {
		w.sawJob(&jobs[i])
	}
	for uid := range maps.Clone(w.pods) {
		w.pods[uid].gone = true
	}
	for i := range pods {
		w.sawPod(&pods[i], false)
	}
}

func (w *watcher) told(ev watch.Event) {
	switch o := ev.Object.(type) {
	case *batchv1.Job:
		w.sawJob(o)
		w.s.jobGone = w.s.jobGone || ev.Type == watch.Deleted && o.UID == w.rec.UID
	case *corev1.Pod:
		w.sawPod(o, ev.Type == watch.Deleted)
	}
}

func (w *watcher) sawJob(j *batchv1.Job) {
	if j.UID == w.rec.UID {
		w.s.job, w.s.jobGone = j, false
	}
}

func (w *watcher) sawPod(p *corev1.Pod, gone bool) {
	if owner := metav1.GetControllerOf(p); owner != nil && owner.UID != w.rec.UID {
		return
	}
	w.pods[p.UID] = &seenPod{Pod: p, gone: gone}
}

// rank0 is the pod whose events count: the first that was made. nil = none yet.
func (s state) rank0() *seenPod {
	for i, p := range s.pods {
		if rank := p.Labels[batchv1.JobCompletionIndexAnnotation]; rank == "" || rank == "0" {
			return &s.pods[i]
		}
	}
	return nil
}

// over says that nothing of the attempt works any more, on the server's word.
func (s state) over() bool {
	if !s.known {
		return false
	}
	for _, p := range s.pods {
		if !p.gone && !terminal(p.Pod) {
			return false
		}
	}
	if s.jobGone || s.job != nil && finished(s.job) {
		return true
	}
	// The Job's own status lags behind its pods. One pod decides where there
	// is one; of several the Job ends the rest.
	return len(s.pods) > 0 && (s.job == nil || *s.job.Spec.Completions == 1)
}

// finished says that the Job will make no pods.
func finished(j *batchv1.Job) bool {
	return hasCondition(j, batchv1.JobComplete) || hasCondition(j, batchv1.JobFailed)
}

func hasCondition(j *batchv1.Job, t batchv1.JobConditionType) bool {
	return slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == t && c.Status == corev1.ConditionTrue
	})
}

func terminal(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// container is the status of the step's container; nil before the kubelet tells of it.
func container(p *corev1.Pod) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if p.Status.ContainerStatuses[i].Name == containerName {
			return &p.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// started says that the step's process was started in the pod.
func started(p *corev1.Pod) bool {
	s := container(p)
	return s != nil && (s.State.Running != nil || s.State.Terminated != nil)
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// fatal says that asking again does not help.
func fatal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}
