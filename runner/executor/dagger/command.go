package dagger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"maps"
	"slices"

	sdk "dagger.io/dagger"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
)

// Folders of a step block in its container.
const (
	inputsDir  = "/inputs"
	outputsDir = "/outputs"
)

// command runs a step block: no relay, no socket, no attempt number, so that
// the engine may answer an unchanged one from its cache.
func (d *attempt) command(ctx context.Context, b *builder) (int, error) {
	w, err := spool.NewWriter(d.spec.AttemptDir, d.spec.Attempt)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	base, err := b.base(ctx, d.spec.Image, d.spec.Pinned)
	if err != nil {
		return 0, err
	}
	if err := durable.WriteJSON(filepath.Join(d.spec.AttemptDir, noteFile), note{Images: b.images}, 0o644); err != nil {
		return 0, err
	}
	listening, leave := context.WithCancel(ctx)
	defer leave()
	told := d.conn.listen(listening, os.Stdout)
	c, err := b.command(base).Sync(ctx)
	var failed *sdk.ExecError
	if errors.As(err, &failed) {
		fmt.Print(told.rest(failed.Stdout+failed.Stderr, false))
		return failed.ExitCode, nil
	}
	if err != nil {
		return 0, err
	}
	said, err := c.CombinedOutput(ctx)
	if err != nil {
		return 0, err
	}
	cached := told.fromCache()
	fmt.Print(told.rest(said, cached))
	if cached {
		err := w.Emit(pipelines.Event{Message: &pipelines.Message{Level: "info",
			Text: "not run again: the engine's cache has the result of the same command, image, inputs and environment"}})
		if err != nil {
			return 0, err
		}
	}
	if err := d.takeOutputs(ctx, c); err != nil {
		var missing *missingOutput
		if !errors.As(err, &missing) {
			return 0, err
		}
		return spool.ExitFailed, w.Emit(pipelines.Event{Result: &pipelines.StepResult{
			State: pipelines.StatusFailed, Cause: pipelines.CauseUser, Error: missing.Error()}})
	}
	return 0, w.Emit(pipelines.Event{Result: &pipelines.StepResult{State: pipelines.StatusCompleted, Outputs: d.spec.Command.Outputs}})
}

// command is the container of a step block. A command that fails is an error
// of the engine's, which keeps successes only: tried again, it is run again.
func (b *builder) command(c *sdk.Container) *sdk.Container {
	s := b.spec
	for _, name := range slices.Sorted(maps.Keys(s.Command.Inputs)) {
		at, from := inputsDir+"/"+name, s.Command.Inputs[name]
		if info, err := os.Stat(from); err == nil && !info.IsDir() {
			c = c.WithMountedFile(at, b.client.Host().File(from))
		} else {
			c = c.WithMountedDirectory(at, b.client.Host().Directory(from), sdk.ContainerWithMountedDirectoryOpts{ReadOnly: true})
		}
	}
	c = c.WithDirectory(outputsDir, b.client.Directory(), sdk.ContainerWithDirectoryOpts{Owner: s.User})
	c = b.withEnvironment(c)
	if len(s.GPUs) > 0 {
		c = c.ExperimentalWithGPU(s.GPUs)
	}
	return c.WithUser(s.User).WithExec(s.Command.Command)
}

// missingOutput is an output that a step declares and did not write.
type missingOutput struct{ name string }

func (e *missingOutput) Error() string {
	return fmt.Sprintf("the command ended well and wrote nothing to %s/%s, which the step's outputs declare", outputsDir, e.name)
}

// takeOutputs puts what the step wrote where its block says.
func (d *attempt) takeOutputs(ctx context.Context, c *sdk.Container) error {
	if len(d.spec.Command.Outputs) == 0 {
		return nil
	}
	entries, err := c.Directory(outputsDir).Entries(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.spec.Command.Outputs)) {
		at, to := outputsDir+"/"+name, d.spec.Command.Outputs[name]
		tmp := filepath.Join(filepath.Dir(to), ".incoming-"+filepath.Base(to))
		if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(filepath.Dir(to), 0o755)); err != nil {
			return err
		}
		switch {
		case slices.Contains(entries, name+"/"):
			_, err = c.Directory(at).Export(ctx, tmp)
			if err == nil {
				err = os.Chmod(tmp, 0o755)
			}
		case slices.ContainsFunc(entries, func(e string) bool { return strings.TrimSuffix(e, "/") == name }):
			_, err = c.File(at).Export(ctx, tmp)
		default:
			return &missingOutput{name}
		}
		if err == nil {
			err = durable.Replace(tmp, to)
		}
		if err != nil {
			return fmt.Errorf("take output %s: %w", name, err)
		}
	}
	return nil
}
