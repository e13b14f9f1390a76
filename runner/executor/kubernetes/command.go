package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// A step block's pod runs the step's own image and command, and nothing of
// ours. Its inputs are mounted below /inputs. What it writes to /outputs/NAME
// lands in its attempt's folder, and goes where the block says once the
// command has ended well.
const (
	inputsDir  = "/inputs"
	outputsDir = "/outputs"

	// outputsFolder, in the attempt folder, is what the pod sees as /outputs.
	outputsFolder = "outputs"
	// writtenFile, there, says that every output was found.
	writtenFile = "outputs.json"
)

func isCommand(t pipelines.Task) bool { return t.Kind == pipelines.KindStep && t.Command != nil }

// commandSpec describes the pod of a step block.
func (c Config) commandSpec(name string, job runner.Job) (corev1.PodSpec, error) {
	own := job.Task.Command
	argv := make([]string, len(own.Command))
	for i, a := range own.Command { // Kubernetes would expand $(NAME)
		argv[i] = strings.ReplaceAll(a, "$", "$$")
	}
	pod, err := c.podSpec(name, job, argv, nil)
	if err != nil {
		return pod, err
	}
	k := &pod.Containers[0]
	k.Image = own.Image
	if pinned := job.Images[own.Image]; pinned != "" {
		k.Image = pinned
	}
	if job.Timeout > 0 {
		pod.ActiveDeadlineSeconds = new(wholeSeconds(job.Timeout))
	}
	for _, in := range slices.Sorted(maps.Keys(own.Inputs)) {
		m, err := c.mountOf(own.Inputs[in], k.VolumeMounts)
		if err != nil {
			return pod, fmt.Errorf("input %q: %w", in, err)
		}
		m.MountPath, m.ReadOnly = path.Join(inputsDir, in), true
		k.VolumeMounts = append(k.VolumeMounts, m)
	}
	if len(own.Outputs) > 0 {
		out, err := makeOutputs(job.Task.AttemptDir)
		if err != nil {
			return pod, err
		}
		m, err := c.mountOf(out, k.VolumeMounts)
		if err != nil {
			return pod, err
		}
		m.MountPath = outputsDir
		k.VolumeMounts = append(k.VolumeMounts, m)
	}
	return pod, nil
}

// makeOutputs makes the folder that the command writes to, whoever it runs as.
func makeOutputs(attemptDir string) (string, error) {
	dir := filepath.Join(attemptDir, outputsFolder)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o777) // whatever the umask
}

// mountOf is the mount that shows a path of the runner's: a part of the volume
// that it lies on. mounts are those of the volumes themselves.
func (c Config) mountOf(at string, mounts []corev1.VolumeMount) (corev1.VolumeMount, error) {
	at, err := filepath.EvalSymlinks(at)
	if err != nil {
		return corev1.VolumeMount{}, err
	}
	for _, v := range c.Volumes {
		if !below(at, v.Path) {
			continue
		}
		i := slices.IndexFunc(mounts, func(m corev1.VolumeMount) bool { return m.MountPath == v.Path })
		rel, err := filepath.Rel(v.Path, at)
		if err != nil || i < 0 {
			continue
		}
		m := corev1.VolumeMount{Name: mounts[i].Name, SubPath: path.Join(v.SubPath, filepath.ToSlash(rel))}
		if m.SubPath == "." {
			m.SubPath = ""
		}
		return m, nil
	}
	return corev1.VolumeMount{}, fmt.Errorf("%s lies on no volume of the executor block, and pods of step blocks see no other files", at)
}

// commandEnd tells how a step block's command ended, and puts its outputs in
// their places. nil = Kubernetes has to tell.
func commandEnd(job runner.Job, s state) (*runner.Exit, error) {
	zero := s.rank0()
	if zero == nil || container(zero.Pod) == nil || container(zero.Pod).State.Terminated == nil {
		return nil, nil
	}
	t := container(zero.Pod).State.Terminated
	x := &runner.Exit{Code: int(t.ExitCode)}
	switch {
	case zero.Status.Reason == "DeadlineExceeded":
		x.Cause, x.Message = pipelines.CauseTimeout, fmt.Sprintf("the step's timeout of %s is over", job.Timeout)
	case t.Reason == "StartError" || t.Reason == "ContainerCannotRun":
		x.Cause, x.Message = pipelines.CauseConfig, fmt.Sprintf("%q could not be started in the image %s: %s", job.Task.Command.Command[0], job.Task.Command.Image, t.Message)
	case t.ExitCode == 0 && stopAsked(job.Task.AttemptDir): // it may have ended before it was done
	case t.ExitCode == 0 && (zero.DeletionTimestamp != nil || disrupted(zero.Pod) != nil):
		x.Cause, x.Message = pipelines.CausePreempted, fmt.Sprintf("pod %s was taken away while the command ran", zero.Name)
	case t.ExitCode == 0:
		return x, conclude(job.Task)
	case t.ExitCode > 128:
		x.Signal = syscall.Signal(t.ExitCode - 128).String()
	}
	return x, nil
}

// conclude takes the outputs and writes the step's result, once.
func conclude(t pipelines.Task) error {
	w, err := spool.NewWriter(t.AttemptDir, t.Attempt)
	if err != nil {
		return err
	}
	if w.Seq() > 0 { // a runner that was killed then had written it
		return w.Close()
	}
	result := pipelines.StepResult{State: pipelines.StatusCompleted, Outputs: t.Command.Outputs}
	var missing *missingOutput
	if err := takeOutputs(t); errors.As(err, &missing) {
		result = pipelines.StepResult{State: pipelines.StatusFailed, Cause: pipelines.CauseUser, Error: missing.Error()}
	} else if err != nil {
		return errors.Join(err, w.Close())
	}
	return errors.Join(w.Emit(pipelines.Event{Result: &result}), w.Close())
}

// missingOutput is an output that a step declares and did not write.
type missingOutput struct{ name string }

func (e *missingOutput) Error() string {
	return fmt.Sprintf("the command ended well and wrote nothing to %s/%s, which the step's outputs declare", outputsDir, e.name)
}

// takeOutputs puts what the command wrote where its block says: all or, while
// one is missing, none. One that was cut short goes on.
func takeOutputs(t pipelines.Task) error {
	dir := filepath.Join(t.AttemptDir, outputsFolder)
	written := filepath.Join(t.AttemptDir, writtenFile)
	names := slices.Sorted(maps.Keys(t.Command.Outputs))
	if _, err := os.Stat(written); err != nil {
		for _, name := range names {
			if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
				return &missingOutput{name}
			} else if err != nil {
				return err
			}
		}
		if err := durable.WriteJSON(written, names, 0o644); err != nil {
			return err
		}
	}
	for _, name := range names {
		from, to := filepath.Join(dir, name), t.Command.Outputs[name]
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue // taken before
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := moveTo(from, to); err != nil {
			return fmt.Errorf("take output %s: %w", name, err)
		}
	}
	return os.RemoveAll(dir)
}

// moveTo moves an output into place, from another file system too.
func moveTo(from, to string) error {
	err := durable.Replace(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	tmp := filepath.Join(filepath.Dir(to), ".incoming-"+filepath.Base(to))
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := copyTree(from, tmp); err != nil {
		return err
	}
	if err := durable.Replace(tmp, to); err != nil {
		return err
	}
	return os.RemoveAll(from)
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// usedImages tells which image a step block's container really was.
func usedImages(t pipelines.Task, s state) map[string]string {
	zero := s.rank0()
	if !isCommand(t) || zero == nil || container(zero.Pod) == nil {
		return nil
	}
	_, digest, ok := strings.Cut(container(zero.Pod).ImageID, "@")
	if !ok {
		return nil
	}
	name, _, _ := strings.Cut(t.Command.Image, "@")
	return map[string]string{t.Command.Image: name + "@" + digest}
}
