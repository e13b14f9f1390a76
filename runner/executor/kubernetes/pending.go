package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// pending explains why an attempt has not started, and decides when it never will.
type pending struct {
	asked time.Time    // when events were last asked for
	since time.Time    // of what does not pass by waiting
	fatal *runner.Exit // it was given up
}

const (
	// hopeless is how long an image that cannot be pulled and the like are
	// given to come right: registries have bad minutes too.
	hopeless = 3 * time.Minute
	// askEvents is how often the events of what waits are asked for.
	askEvents = 2 * time.Second
)

// look tells what the attempt waits for, and reports true when it shall wait no longer.
func (p *pending) look(ctx context.Context, c *cluster, rec record, s state, say func(string)) (giveUp bool) {
	zero := s.waiting()
	if p.fatal != nil || s.job == nil || zero == nil && len(s.pods) > 0 {
		return p.fatal != nil && !s.jobGone
	}
	why, hard, never := "", false, false
	if zero == nil {
		if why = suspended(s.job); why == "" && p.due() {
			why, hard = p.noPod(ctx, c, rec, s.job)
		}
	} else if why, hard, never = waitingFor(zero.Pod); (hard || why == "") && p.due() {
		if more := newest(ctx, c, rec.Namespace, zero.UID, "Failed", "Unhealthy"); more != "" && !strings.Contains(why, more) {
			why = strings.TrimSuffix(why+": "+more, ": ")
			why = strings.TrimPrefix(why, ": ")
		}
	}
	if why == "" {
		return false
	}
	say(why)
	if !hard {
		p.since = time.Time{}
		return false
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if !never && time.Since(p.since) < hopeless {
		return false
	}
	p.fatal = &runner.Exit{Code: -1, Cause: pipelines.CauseConfig, Message: why}
	return true
}

func (p *pending) due() bool {
	if time.Since(p.asked) < askEvents {
		return false
	}
	p.asked = time.Now()
	return true
}

// waiting is the first pod whose step has not started; nil = all have, or there is none.
func (s state) waiting() *seenPod {
	for i, p := range s.pods {
		if !p.gone && !terminal(p.Pod) && !started(p.Pod) && p.DeletionTimestamp == nil {
			return &s.pods[i]
		}
	}
	return nil
}

func suspended(j *batchv1.Job) string {
	if j.Spec.Suspend == nil || !*j.Spec.Suspend {
		return ""
	}
	if q := j.Labels[labelQueue]; q != "" {
		return fmt.Sprintf("Job %s waits for its turn in the queue %q", j.Name, q)
	}
	return fmt.Sprintf("Job %s is suspended; somebody has to resume it", j.Name)
}

// suspendedAfterStart says that a Job was suspended whose pods had started.
func suspendedAfterStart(s state) bool {
	return s.job != nil && suspended(s.job) != "" && slices.ContainsFunc(s.pods, func(p seenPod) bool { return started(p.Pod) })
}

// noPod says why the Job controller made no pod. A quota frees itself; what
// is refused by policy does not.
func (p *pending) noPod(ctx context.Context, c *cluster, rec record, j *batchv1.Job) (why string, hard bool) {
	text := newest(ctx, c, rec.Namespace, j.UID, "FailedCreate")
	if text == "" {
		return "", false
	}
	if strings.Contains(text, "exceeded quota") {
		return "no room in the namespace's quota: " + text, false
	}
	return "Kubernetes refuses the pod: " + text, true
}

// waitingFor says what a pod waits for, by its own status. hard does not
// pass by waiting for room, never not at all.
func waitingFor(p *corev1.Pod) (why string, hard, never bool) {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return fmt.Sprintf("pod %s waits for a node: %s", p.Name, cond.Message), false, false
		}
	}
	s := container(p)
	if s == nil || s.State.Waiting == nil {
		return "", false, false
	}
	w := s.State.Waiting
	text := w.Reason
	if w.Message != "" {
		text += ": " + w.Message
	}
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
		return fmt.Sprintf("node %s cannot pull the image %s (%s)", p.Spec.NodeName, s.Image, text), true, false
	case "InvalidImageName", "ErrImageNeverPull":
		return fmt.Sprintf("the image %s cannot be used (%s)", s.Image, text), true, true
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return fmt.Sprintf("node %s cannot start the container (%s)", p.Spec.NodeName, text), true, false
	}
	return "", false, false // ContainerCreating: volumes and images take their time
}

// newest is the newest warning about an object, of one of these reasons or
// beginnings of reasons. Events are for people: without the right to read
// them, or while the server is away, there are none.
func newest(ctx context.Context, c *cluster, namespace string, uid types.UID, reasons ...string) string {
	list, err := call(ctx, func(ctx context.Context) (*corev1.EventList, error) {
		return c.core.Events(namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.uid": string(uid), "type": corev1.EventTypeWarning}.String()})
	})
	if err != nil {
		return ""
	}
	var last *corev1.Event
	for i := range list.Items {
		ev := &list.Items[i]
		if slices.ContainsFunc(reasons, func(r string) bool { return strings.HasPrefix(ev.Reason, r) }) &&
			(last == nil || !when(ev).Before(when(last))) {
			last = ev
		}
	}
	if last == nil {
		return ""
	}
	return last.Message
}

func when(ev *corev1.Event) time.Time {
	switch {
	case ev.Series != nil:
		return ev.Series.LastObservedTime.Time
	case !ev.LastTimestamp.IsZero():
		return ev.LastTimestamp.Time
	}
	return ev.EventTime.Time
}
