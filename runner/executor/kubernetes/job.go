package kubernetes

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
)

// Labels and annotations of what this executor makes.
const (
	labelManagedBy  = "app.kubernetes.io/managed-by"
	managedBy       = "trainwright"
	labelRun        = "trainwright.dev/run"
	labelAttempt    = "trainwright.dev/attempt"
	annotationStep  = "trainwright.dev/step"
	annotationOwner = "trainwright.dev/pipeline"
	labelQueue      = "kueue.x-k8s.io/queue-name"

	containerName = "step"
	// masterPort is where torchrun's rank 0 listens.
	masterPort = 29500
	// slack is what the pod gets beyond the step's grace to tell how it ended.
	slack = 5 * time.Second
	// sendSlack is what it gets to send the last checkpoint to a bucket.
	sendSlack = pod.SendPatience + slack
)

// jobName is the same for everybody who looks for an attempt.
func jobName(runID string, attempt int) string {
	id := notInNames.ReplaceAllString(strings.ToLower(runID), "-")
	return fmt.Sprintf("tw-%s-%d", strings.Trim(id[:min(len(id), 45)], "-"), attempt)
}

var (
	notInNames = regexp.MustCompile(`[^a-z0-9-]`)
	aPython    = regexp.MustCompile(`^python[0-9.]*$`)
)

// labels find an attempt's objects.
func labels(task pipelines.Task) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "trainwright-step",
		labelManagedBy:           managedBy,
		labelRun:                 notInNames.ReplaceAllString(strings.ToLower(task.RunID), "-"),
		labelAttempt:             strconv.Itoa(task.Attempt),
	}
}

// makeJob describes the attempt's Job: one pod, or as many as the block has
// nodes; never a second try, which is the runner's to make.
func (c Config) makeJob(name string, job runner.Job, carry *carrier) (*batchv1.Job, error) {
	if isCommand(job.Task) {
		c.Nodes = 1
	}
	template, err := c.template(name, job, carry)
	if err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{Name: name, Labels: labels(job.Task), Annotations: map[string]string{
		annotationStep: string(job.Task.Address), annotationOwner: job.Task.Pipeline,
	}}
	for k, v := range c.Labels {
		meta.Labels[k] = v
	}
	for k, v := range c.Annotations {
		meta.Annotations[k] = v
	}
	podMeta := *meta.DeepCopy()
	podMeta.Name = ""
	if c.Queue != "" {
		meta.Labels[labelQueue] = c.Queue
	}
	spec := batchv1.JobSpec{
		Template:                corev1.PodTemplateSpec{ObjectMeta: podMeta, Spec: template},
		Completions:             new(int32(c.nodes())),
		Parallelism:             new(int32(c.nodes())),
		BackoffLimit:            new(int32(0)),
		PodReplacementPolicy:    new(batchv1.Failed),
		TTLSecondsAfterFinished: new(int32(min(c.ttl().Seconds(), math.MaxInt32))),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionFailJob,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
	}
	if c.nodes() > 1 {
		spec.CompletionMode = new(batchv1.IndexedCompletion)
	}
	return &batchv1.Job{ObjectMeta: meta, Spec: spec}, nil
}

// template describes the Job's pods.
func (c Config) template(name string, job runner.Job, carry *carrier) (corev1.PodSpec, error) {
	if isCommand(job.Task) {
		return c.commandSpec(name, job)
	}
	command, err := c.command(job, carry)
	if err != nil {
		return corev1.PodSpec{}, err
	}
	return c.podSpec(name, job, command, carry)
}

// command is the container's: `runner pod … -- STEP`, with the programs where
// the image has them. Kubernetes expands $(NAME) in it, so each $ is doubled.
func (c Config) command(job runner.Job, carry *carrier) ([]string, error) {
	if len(job.Command.Argv) == 0 {
		return nil, fmt.Errorf("the adapter %q gave no command to start %s with", job.Task.Adapter, job.Task.Address)
	}
	program := c.Runner
	if program == "" {
		program = "runner"
	}
	python := c.Python
	if python == "" {
		python = "python3"
	}
	step := slices.Clone(job.Command.Argv)
	own, _ := os.Executable()
	isPython := aPython.MatchString(filepath.Base(step[0]))
	switch {
	case step[0] == own:
		step[0] = program
	case isPython:
		step[0] = python
	}
	if c.nodes() > 1 {
		if !isPython || len(step) < 2 || step[1] != "-m" {
			return nil, fmt.Errorf("%s cannot run on %d nodes: only Python adapters, which torchrun starts, can", job.Task.Address, c.nodes())
		}
		step = append([]string{step[0], "-m", "torch.distributed.run",
			fmt.Sprintf("--nnodes=%d", c.nodes()), "--node-rank=$(JOB_COMPLETION_INDEX)", fmt.Sprintf("--nproc-per-node=%d", max(c.GPUs, 1)),
			"--master-addr=$(MASTER_ADDR)", "--master-port=$(MASTER_PORT)"}, step[1:]...)
	}
	out := []string{program, "pod", "--grace=" + job.Grace.String(), "--termination-log=" + corev1.TerminationMessagePathDefault}
	if job.Timeout > 0 {
		out = append(out, "--timeout="+job.Timeout.String())
	}
	if job.Command.Dir != "" {
		out = append(out, "--dir="+job.Command.Dir)
	}
	for _, name := range secretNames(c, job) {
		out = append(out, "--secret-env="+name)
	}
	if c.nodes() > 1 {
		out = append(out, "--rank=$(JOB_COMPLETION_INDEX)")
	}
	if carry != nil {
		out = append(out, carry.args...)
	}
	out = append(out, "--", filepath.Join(job.Task.AttemptDir, spool.TaskFile))
	out = append(out, step...)
	for i, a := range out {
		out[i] = escape(a)
	}
	return out, nil
}

// escape keeps Kubernetes from expanding what is not ours to expand.
func escape(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	for _, name := range []string{"JOB_COMPLETION_INDEX", "MASTER_ADDR", "MASTER_PORT"} {
		if rest, ok := strings.CutSuffix(s, "=$$("+name+")"); ok && strings.HasPrefix(s, "--") {
			return rest + "=$(" + name + ")"
		}
	}
	return s
}

func secretNames(c Config, job runner.Job) []string {
	var names []string
	for name := range job.Secrets {
		names = append(names, name)
	}
	for name := range c.SecretEnv {
		if _, own := job.Secrets[name]; !own {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (c Config) podSpec(name string, job runner.Job, command []string, carry *carrier) (corev1.PodSpec, error) {
	resources, err := c.resources()
	if err != nil {
		return corev1.PodSpec{}, err
	}
	env, err := c.environment(name, job)
	if err != nil {
		return corev1.PodSpec{}, err
	}
	volumes, mounts, err := c.volumes()
	if err != nil {
		return corev1.PodSpec{}, err
	}
	grace := job.Grace + slack
	if carry != nil {
		volumes, mounts, grace = append(volumes, carry.volumes...), append(mounts, carry.mounts...), job.Grace+sendSlack
	}
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(wholeSeconds(grace)),
		ServiceAccountName:            c.ServiceAccount,
		AutomountServiceAccountToken:  new(c.ServiceAccount != ""),
		NodeSelector:                  c.NodeSelector,
		PriorityClassName:             c.PriorityClass,
		Volumes:                       volumes,
		SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{
			Name: containerName, Image: c.Image, ImagePullPolicy: corev1.PullPolicy(c.ImagePullPolicy),
			Command: command, Env: env, Resources: resources, VolumeMounts: mounts,
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	if c.User > 0 {
		spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsNonRoot = new(c.User), new(true)
	}
	if c.Group > 0 {
		spec.SecurityContext.RunAsGroup, spec.SecurityContext.FSGroup = new(c.Group), new(c.Group)
		spec.SecurityContext.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
	for _, s := range c.ImagePullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	for _, t := range c.Tolerations {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	if c.nodes() > 1 {
		spec.Subdomain = name // with the headless Service this gives each pod a name
		spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "rendezvous", ContainerPort: masterPort}}
	}
	return spec, nil
}

func wholeSeconds(d time.Duration) int64 { return int64(math.Ceil(max(d, 0).Seconds())) }

func (c Config) resources() (corev1.ResourceRequirements, error) {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	both := map[string]string{}
	for k, v := range c.Resources {
		both[k] = v
	}
	if c.Memory != "" {
		both["memory"] = c.Memory
	}
	if c.GPUs > 0 {
		both[c.gpuResource()] = strconv.Itoa(c.GPUs)
	}
	for name, text := range both {
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return r, fmt.Errorf("%s = %q is no quantity of Kubernetes, such as \"8Gi\" or \"2\"", name, text)
		}
		r.Requests[corev1.ResourceName(name)], r.Limits[corev1.ResourceName(name)] = q, q
	}
	if c.CPUs > 0 {
		r.Requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(math.Round(c.CPUs*1000)), resource.DecimalSI)
	}
	return r, nil
}

func (c Config) environment(name string, job runner.Job) ([]corev1.EnvVar, error) {
	values := map[string]corev1.EnvVar{}
	if c.nodes() > 1 {
		values["MASTER_ADDR"] = corev1.EnvVar{Value: name + "-0." + name}
		values["MASTER_PORT"] = corev1.EnvVar{Value: strconv.Itoa(masterPort)}
	}
	for _, m := range []map[string]string{job.Command.Env, job.Env} {
		for k, v := range m {
			values[k] = corev1.EnvVar{Value: strings.ReplaceAll(v, "$", "$$")}
		}
	}
	for k, ref := range c.SecretEnv {
		secret, key, ok := strings.Cut(ref, "/")
		if !ok {
			return nil, fmt.Errorf("secret_env: %s = %q must name a Secret and a key of it: \"SECRET/KEY\"", k, ref)
		}
		values[k] = fromSecret(secret, key)
	}
	for k := range job.Secrets {
		values[k] = fromSecret(name, k)
	}
	var out []corev1.EnvVar
	for k, v := range values {
		v.Name = k
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func fromSecret(name, key string) corev1.EnvVar {
	return corev1.EnvVar{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}}
}

func (c Config) volumes() ([]corev1.Volume, []corev1.VolumeMount, error) {
	// PyTorch's loader workers hand batches over in /dev/shm, of which a
	// container has 64 MiB by default.
	shm := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}
	if c.SharedMemory != "" {
		q, err := resource.ParseQuantity(c.SharedMemory)
		if err != nil {
			return nil, nil, fmt.Errorf("shared_memory = %q is no quantity of Kubernetes, such as \"8Gi\"", c.SharedMemory)
		}
		shm.SizeLimit = &q
	}
	volumes := []corev1.Volume{{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: shm}}}
	mounts := []corev1.VolumeMount{{Name: "shm", MountPath: "/dev/shm"}}
	named := map[string]string{} // a claim mounted twice is one volume
	for _, v := range c.Volumes {
		source := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.Claim}}
		if v.HostPath != "" {
			source = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: v.HostPath, Type: new(corev1.HostPathDirectory)}}
		}
		key := v.Claim + "\x00" + v.HostPath
		if named[key] == "" {
			named[key] = fmt.Sprintf("volume-%d", len(named)+1)
			volumes = append(volumes, corev1.Volume{Name: named[key], VolumeSource: source})
		}
		mounts = append(mounts, corev1.VolumeMount{Name: named[key], MountPath: v.Path, SubPath: v.SubPath, ReadOnly: v.ReadOnly})
	}
	return volumes, mounts, nil
}

// covers reports that pods see a folder under the runner's path, and may write there.
func (c Config) covers(dir string) bool {
	return slices.ContainsFunc(c.Volumes, func(v Volume) bool {
		rel, err := filepath.Rel(v.Path, dir)
		return err == nil && !v.ReadOnly && rel != ".." && !strings.HasPrefix(rel, "../")
	})
}

// makeSecret holds the step's secrets for as long as the Job is there.
func makeSecret(name string, job runner.Job) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels(job.Task)}, Immutable: new(true), Data: map[string][]byte{}}
	for k, v := range job.Secrets {
		s.Data[k] = []byte(v.Reveal())
	}
	return s
}

// makeService gives the pods of a multi-node attempt names to meet under.
func makeService(job *batchv1.Job) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name, Labels: job.Labels, OwnerReferences: ownedBy(job)},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true,
			Selector: map[string]string{batchv1.JobNameLabel: job.Name},
			Ports:    []corev1.ServicePort{{Name: "rendezvous", Port: masterPort}}},
	}
}

func ownedBy(job *batchv1.Job) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}}
}
