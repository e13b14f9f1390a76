package host

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// allowed refuses an order that this server does not take.
func (h *Host) allowed(o remote.Order, c remote.Call) error {
	t := o.Task
	refuse := func(format string, args ...any) error {
		return pipelines.Errorf(pipelines.CodeInvalid, format, args...)
	}
	if t.RunID != c.RunID || t.Attempt != c.Attempt || t.Version != pipelines.TaskVersion {
		return refuse("the task is of version %d, run %.100q and attempt %d; the call is about run %s, attempt %d, and this server takes version %d",
			t.Version, t.RunID, t.Attempt, c.RunID, c.Attempt, pipelines.TaskVersion)
	}
	if t.Command != nil {
		return refuse("a server runs no commands for others")
	}
	adapter, ok := h.cfg.Adapters.Lookup(t.Adapter)
	if !ok {
		return refuse("the server has no adapter %q", t.Adapter)
	}
	if want, have := o.Adapter, adapter.Info(); want != nil && (want.Numerics != have.Numerics || want.Lock != have.Lock) {
		return refuse("the server's adapter %q is not the one that was planned with: its numerics version is %d and its requirements are %.20q, and planned were %d and %.20q. Have the same release, adapter source and requirements on both machines",
			t.Adapter, have.Numerics, have.Lock, want.Numerics, want.Lock)
	}
	if p, ok := adapter.(adapters.Preparer); ok {
		if err := p.Ready(); err != nil {
			return refuse("on the server, the adapter %q is not ready: %w", t.Adapter, err)
		}
	}
	for _, names := range []map[string]string{t.Env, o.Env, o.Secrets} {
		for name := range names {
			if !slices.Contains(h.cfg.Env, name) {
				return refuse("the step may not set the variable %s on the server: variables such as LD_PRELOAD run programs. Its operator allows names with --allow-env", name)
			}
		}
	}
	if (o.Dataset == nil) != (t.Dataset == nil) {
		return refuse("the task has a dataset, or its description, and not both")
	}
	return nil
}

// prepare makes the task as it runs here: with the paths of this machine, and
// the samples of this machine's data, if they are those that were planned.
func (h *Host) prepare(ctx context.Context, a *attempt) (pipelines.Task, error) {
	t := a.order.Task
	t.AttemptDir = a.dir
	t.RunDir = filepath.Dir(filepath.Dir(a.dir))
	var err error
	sent := func(path *string) {
		if *path == "" || err != nil {
			return
		}
		if !strings.HasPrefix(*path, inputs+"/") || !filepath.IsLocal(*path) {
			err = pipelines.Errorf(pipelines.CodeInvalid, "the task names the file %.300q, which was not sent", *path)
			return
		}
		*path = filepath.Join(t.RunDir, filepath.FromSlash(*path))
	}
	if m := t.Model; m != nil {
		if m.Weights != nil {
			sent(&m.Weights.Path)
			if m.Weights.Checkpoint != nil {
				sent(&m.Weights.Checkpoint.Path)
			}
		}
		if strings.ContainsAny(m.Name, `/\`) && strings.HasSuffix(m.Name, ".onnx") {
			return t, pipelines.Errorf(pipelines.CodeInvalid, "models in files do not run on a server")
		}
	}
	if t.Train != nil && t.Train.Start != nil {
		sent(&t.Train.Start.Checkpoint.Path)
	}
	if t.Evaluate != nil {
		sent(&t.Evaluate.Checkpoint.Path)
	}
	if t.Export != nil {
		sent(&t.Export.Checkpoint.Path)
	}
	if err != nil {
		return t, err
	}
	if t.Dataset == nil {
		return t, nil
	}
	a.tell("the server looks at the dataset " + t.Dataset.Name)
	return t, h.index(ctx, a, &t)
}

// index lists the samples.
func (h *Host) index(ctx context.Context, a *attempt, t *pipelines.Task) error {
	spec, err := h.place(*a.order.Dataset)
	if err != nil {
		return err
	}
	if spec, err = h.cfg.Datasets.Localize(ctx, spec); err != nil {
		return err
	}
	index, err := h.cfg.Datasets.Index(ctx, spec)
	if err != nil {
		return err
	}
	if index.Fingerprint != t.Dataset.Fingerprint {
		return pipelines.Errorf(pipelines.CodeStale, "the dataset %q at %s is not the one that was planned: its fingerprint is %s, and %s was planned. Bring the same files to both machines",
			t.Dataset.Name, spec.Path, index.Fingerprint, t.Dataset.Fingerprint)
	}
	d := *t.Dataset
	d.Path, d.IndexPath = spec.Path, filepath.Join(a.dir, "dataset.json")
	t.Dataset = &d
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return durable.WriteFile(d.IndexPath, text, 0o644)
}

// place finds the folders of a dataset below the one that is lent.
func (h *Host) place(d pipelines.DatasetSpec) (out pipelines.DatasetSpec, err error) {
	out = d
	if d.Path != "" {
		if out.Path, err = h.cfg.Place(d.Path); err != nil {
			return out, err
		}
	}
	if d.Paths != nil {
		out.Paths = map[string]string{}
		for split, path := range d.Paths {
			if out.Paths[split], err = h.cfg.Place(path); err != nil {
				return out, err
			}
		}
	}
	out.Union = nil
	for _, u := range d.Union {
		inner, err := h.place(u)
		if err != nil {
			return out, err
		}
		out.Union = append(out.Union, inner)
	}
	return out, nil
}
