package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// end tells how an attempt ended, from what the pod said of it (exit, nil =
// nothing), what Kubernetes says of the pods, and what was asked for.
func end(job runner.Job, rec record, s state, exit *runner.Exit, result *pipelines.StepResult) runner.Exit {
	if exit == nil {
		exit = lastWord(s.rank0())
	}
	if result != nil && result.State == pipelines.StatusCompleted {
		out := runner.Exit{}
		if exit != nil {
			out.Code, out.Signal = exit.Code, exit.Signal
		}
		return out
	}
	asked := stopAsked(job.Task.AttemptDir)
	if !asked && (exit == nil || exit.Cause != pipelines.CauseTimeout) {
		if lost, ok := lostPod(s, exit); ok {
			return lost
		}
	}
	switch zero := s.rank0(); {
	case exit != nil:
		return *exit
	case asked:
		return runner.Exit{Code: -1, Message: "the step was stopped before it could report a result"}
	case zero == nil && s.jobGone:
		return runner.Exit{Code: -1, Cause: pipelines.CauseInfrastructure, Unseen: result == nil,
			Message: fmt.Sprintf("Job %s in namespace %s is gone, and left no word of how it ended", rec.Job, rec.Namespace)}
	case zero == nil:
		return runner.Exit{Code: -1, Cause: pipelines.CauseInfrastructure, Message: fmt.Sprintf("Job %s ended without a pod%s", rec.Job, jobReason(s.job))}
	default:
		return fromStatus(zero)
	}
}

// lastWord is what `runner pod` wrote as the container's termination message.
func lastWord(p *seenPod) *runner.Exit {
	if p == nil {
		return nil
	}
	c := container(p.Pod)
	if c == nil || c.State.Terminated == nil {
		return nil
	}
	var x runner.Exit
	if json.Unmarshal([]byte(c.State.Terminated.Message), &x) != nil {
		return nil
	}
	return &x
}

// lostPod finds a pod that Kubernetes took away, ran out of memory, or, of
// several, failed where rank 0 did not: what the step's own end is due to.
func lostPod(s state, exit *runner.Exit) (runner.Exit, bool) {
	base := runner.Exit{Code: -1}
	if exit != nil {
		base.Code, base.Signal = exit.Code, exit.Signal
	}
	for _, p := range s.pods {
		if cond := disrupted(p.Pod); cond != nil {
			base.Cause = disruption(cond.Reason)
			base.Message = fmt.Sprintf("pod %s on node %s was taken away (%s): %s", p.Name, p.Spec.NodeName, cond.Reason, cond.Message)
			return base, true
		}
	}
	for _, p := range s.pods {
		if c := container(p.Pod); c != nil && c.State.Terminated != nil && c.State.Terminated.Reason == "OOMKilled" {
			base.Cause = pipelines.CauseOOM
			base.Message = fmt.Sprintf("pod %s ran out of memory (OOMKilled%s); lower batch_size or num_workers, or raise memory in the executor block", p.Name, limit(p.Pod))
			return base, true
		}
	}
	if len(s.pods) < 2 {
		return base, false
	}
	// The Job deletes the others once one has failed: the first to end that
	// nobody deleted is to blame. Times alone, in whole seconds, do not tell.
	var first *seenPod
	for i, p := range s.pods {
		c := container(p.Pod)
		if p.DeletionTimestamp != nil || c == nil || c.State.Terminated == nil || c.State.Terminated.ExitCode == 0 {
			continue
		}
		if first == nil || c.State.Terminated.FinishedAt.Before(&container(first.Pod).State.Terminated.FinishedAt) {
			first = &s.pods[i]
		}
	}
	if first == nil || first.UID == s.rank0().UID {
		return base, false
	}
	x := lastWord(first)
	if x == nil { // its end was not its own
		own := fromStatus(first)
		x = &own
	}
	base.Cause, base.Message = x.Cause, fmt.Sprintf("pod %s ended first, with exit code %d: %s", first.Name, x.Code, x.Message)
	if base.Cause == "" { // its own result, which nobody files
		base.Cause = pipelines.CauseUser
	}
	return base, true
}

// disrupted is the condition that says that Kubernetes took a pod away; nil = it did not.
func disrupted(p *corev1.Pod) *corev1.PodCondition {
	for i, cond := range p.Status.Conditions {
		if cond.Type == corev1.DisruptionTarget && cond.Status == corev1.ConditionTrue {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// disruption is the cause of a DisruptionTarget condition. A node that is
// lost is a fault; all else makes room, or takes the machine back.
func disruption(reason string) pipelines.Cause {
	switch reason {
	case "DeletionByTaintManager", "DeletionByPodGC":
		return pipelines.CauseInfrastructure
	}
	return pipelines.CausePreempted
}

// fromStatus tells the end of a pod that said nothing itself.
func fromStatus(p *seenPod) runner.Exit {
	x := runner.Exit{Code: -1, Cause: pipelines.CauseInfrastructure}
	c := container(p.Pod)
	switch {
	case c != nil && c.State.Terminated != nil:
		t := c.State.Terminated
		x.Code = int(t.ExitCode)
		x.Message = fmt.Sprintf("the container of pod %s ended with exit code %d (%s)", p.Name, t.ExitCode, t.Reason)
		if t.Reason == "StartError" || t.Reason == "ContainerCannotRun" || t.ExitCode == 126 || t.ExitCode == 127 {
			x.Cause = pipelines.CauseConfig
			x.Message += "; the image must hold the runner, in PATH or where the executor block's runner says"
		}
		if t.Message != "" {
			x.Message += ": " + t.Message
		}
	case p.gone && !terminal(p.Pod) && p.DeletionTimestamp != nil:
		x.Cause, x.Message = pipelines.CausePreempted, fmt.Sprintf("pod %s was deleted from outside", p.Name)
	default:
		x.Message = fmt.Sprintf("pod %s ended without a word (phase %s)", p.Name, p.Status.Phase)
	}
	for _, more := range []string{p.Status.Reason, p.Status.Message} {
		if more != "" && !strings.Contains(x.Message, more) {
			x.Message += "; " + more
		}
	}
	return x
}

func limit(p *corev1.Pod) string {
	q, ok := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
	if !ok {
		return ""
	}
	return ", its limit was " + q.String()
}

func jobReason(j *batchv1.Job) string {
	if j == nil {
		return ""
	}
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return fmt.Sprintf(" (%s: %s)", c.Reason, c.Message)
		}
	}
	return ""
}
