package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// decider decides what happens to one step after another. Plan uses it with
// the results that stored runs have, apply again with those of this apply.
type decider struct {
	p         *Planner
	pipe      *pipelines.Pipeline
	replace   []string
	inspector *inspector
	lock      LockFile
	hasher    *hasher
	// anew are steps whose result may not be reused: its files are gone and
	// a step that runs needs them.
	anew map[pipelines.Address]bool
	// resolving: the language evaluates one expression at a time.
	resolving sync.Mutex
}

// decision is a planned step with what apply needs to carry it out.
type decision struct {
	PlannedStep
	step       pipelines.Step
	spec       pipelines.Spec
	exec       pipelines.ExecutorConfig
	written    *pipelines.DatasetSpec // as the pipeline says it, before it was brought here
	adapter    adapters.Adapter
	report     *pipelines.DatasetReport
	canonical  []byte
	run        *pipelines.Run    // reused or continued; nil = a new one
	parent     string            // of a new run that goes on from another
	keepOld    map[string]any    // values of Keep fields, as the checkpoint has them
	filesGone  bool              // of the reused run
	pretrained string            // hash of pretrained weights: as pinned, then as used
	images     map[string]string // container images: as pinned, then as used
	gpus       []int             // leased for a step in a container
	problems   Problems          // findings about the step
	gates      Problems          // findings about its dataset
}

// decide resolves a step with the results known so far and chooses its action.
func (d *decider) decide(ctx context.Context, step pipelines.Step, results pipelines.Results) (decision, error) {
	dec := decision{step: step, images: d.lock.Images}
	d.resolving.Lock()
	spec, err := step.Resolve(results)
	d.resolving.Unlock()
	if err != nil {
		return dec, err
	}
	dec.spec = spec
	dec.describe()
	if m := spec.Model; m != nil && m.Pretrained {
		dec.pretrained = d.lock.Weights[pretrainedPin(step.Adapter, m.Name)]
	}
	var sch schema.Schema
	if step.Kind != pipelines.KindStep {
		a, ok := d.p.Adapters.Lookup(step.Adapter)
		if !ok {
			dec.problems = append(dec.problems, problem(step.Range, "Unknown adapter", "There is no adapter %q.", step.Adapter))
			return dec, nil
		}
		dec.adapter = a
		sch, _, _ = a.Schema(step.Task)
	}
	d.equip(&dec)
	dec.settle(sch)
	inputs, err := d.inputs(ctx, &dec)
	if err != nil || dec.problems.Err("") != nil {
		return dec, err
	}
	return dec, d.choose(ctx, &dec, inputs, sch)
}

// describe fills in what a plan says about a step whatever its action.
func (dec *decision) describe() {
	s, spec := dec.step, dec.spec
	dec.Address, dec.Kind, dec.Needs = s.Address, s.Kind, s.Needs
	dec.Adapter, dec.Model, dec.TaskType, dec.Executor = s.Adapter, s.Model, s.Task, s.Executor
	if spec.Dataset != nil {
		dec.Dataset = spec.Dataset.Name
	}
	for field, steps := range spec.Unknown {
		dec.KnownAfter = append(dec.KnownAfter, KnownAfter{Field: displayField(field), Steps: steps})
	}
	slices.SortFunc(dec.KnownAfter, func(a, b KnownAfter) int { return strings.Compare(a.Field, b.Field) })
}

// equip checks what the step needs to run on: executor, device, license.
func (d *decider) equip(dec *decision) {
	step := dec.step
	dec.exec = d.pipe.Executors[step.Executor]
	if c := dec.spec.Command; c != nil && c.Image == "" { // the executor's
		own := *c
		own.Image, _ = dec.exec.Attributes["image"].(string)
		dec.spec.Command = &own
	}
	dec.Placement = placement(dec.exec)
	if _, err := d.p.Executor(dec.exec); err != nil {
		r := dec.exec.Range
		if r.IsZero() {
			r = step.Range
		}
		dec.problems = append(dec.problems, problem(r, "Executor cannot be used", "%s runs on %s: %s", step.Address, executorName(dec.exec), err))
	} else if step.Kind == pipelines.KindStep && isLocal(dec.exec) {
		dec.problems = append(dec.problems, problem(step.Range, "Missing executor",
			"%s runs a command in a container, and the local executor runs none. Declare an executor \"dagger\" or \"kubernetes\" block and name it.", step.Address))
	}
	if dec.adapter == nil {
		return
	}
	info := dec.adapter.Info()
	device, pr := d.p.deviceClass(dec.spec, info, dec.exec)
	if dec.Device = device; pr != nil {
		dec.problems = append(dec.problems, *pr)
	}
	if pr := tooMany(dec.Address, info, dec.exec); pr != nil {
		dec.problems = append(dec.problems, *pr)
	}
	found := licenses(dec.spec, dec.adapter)
	dec.License = strings.Join(found, ", ")
	dec.problems = append(dec.problems, forbidden(d.pipe.Policy, step, found)...)
}

// inputs inspects the dataset and collects what the content key is made of.
func (d *decider) inputs(ctx context.Context, dec *decision) (Inputs, error) {
	kc := keyContext{Device: dec.Device, Hash: d.hasher.Path, Images: dec.images}
	if dec.adapter != nil {
		kc.Adapter = dec.adapter.Info()
	}
	if ds := dec.spec.Dataset; ds != nil && !isUnknownDataset(dec.spec) {
		found := d.inspector.inspect(ctx, *ds)
		report, err := found.report, found.err
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			dec.problems = append(dec.problems, problem(ds.Range, "Dataset cannot be used", "%s", sentence(err)))
			return nil, nil
		}
		kc.Dataset, dec.report, dec.written = &report, &report, ds
		dec.spec.Dataset = &found.local
		dec.gates = gates(*ds, report)
		if dec.Kind == pipelines.KindTrain || dec.Kind == pipelines.KindEvaluate {
			dec.problems = append(dec.problems, usable(dec.spec, report, dec.step.Range)...)
		}
	}
	if exec, err := d.p.Executor(dec.exec); err == nil { // equip reports the error
		if n, ok := exec.(Noter); ok {
			dec.Notes = n.Notes(dec.step, dec.report)
		}
		if r, ok := exec.(Refuser); ok {
			spec := dec.spec
			spec.Dataset = dec.written
			if err := r.Refuses(spec); err != nil {
				dec.problems = append(dec.problems, problem(dec.step.Range, "Step cannot run there", "%s on %s: %s", dec.Address, executorName(dec.exec), sentence(err)))
			}
		}
	}
	inputs, err := stepInputs(dec.spec, kc)
	if err != nil {
		dec.problems = append(dec.problems, problem(dec.step.Range, "Input cannot be read", "%s: %s", dec.Address, err))
		return nil, nil
	}
	if dec.canonical, err = inputs.Canonical(); err != nil {
		return nil, err
	}
	dec.Inputs = dec.canonical
	if len(dec.spec.Unknown) == 0 {
		dec.ContentKey = ContentKey(dec.canonical)
	}
	return inputs, nil
}

// choose picks the action.
func (d *decider) choose(ctx context.Context, dec *decision, inputs Inputs, sch schema.Schema) error {
	h, err := d.history(ctx, dec)
	if err != nil {
		return err
	}
	if h.last != nil {
		dec.Previous = h.last.ID
		if dec.Changes, err = compare(h.last.Inputs, inputs, dec.spec, sch); err != nil {
			return err
		}
	}
	asked := slices.ContainsFunc(d.replace, func(r string) bool { return selects(r, dec.Address) })
	switch {
	case asked:
		dec.anew(h, "it was asked for (--replace)")
	case dec.ContentKey == "" && h.last == nil:
		dec.Action, dec.Reason = ActionRun, "it has not run yet"
	case dec.ContentKey == "":
		dec.Action = ActionDecideLater
		dec.Reason = "decided after " + AddressList(dec.waitsFor())
	case h.reusable != nil && h.filesGone && dec.Kind == pipelines.KindStep: // they lie where the user wants them
		dec.anew(h, "what it made is gone")
	case h.reusable != nil && !d.anew[dec.Address]:
		dec.reuse(h)
	case h.interrupted != nil:
		dec.resume(h)
	case h.reusable != nil:
		dec.anew(h, "the files of its last run are gone, and a step that runs needs them")
	case h.last == nil:
		dec.Action, dec.Reason = ActionRun, "it has not run yet"
	case h.last.ContentKey == dec.ContentKey:
		dec.Action, dec.Reason = ActionRun, "its last run did not get to start"
	default:
		return d.changed(ctx, dec, h, sch)
	}
	return nil
}

func (dec *decision) reuse(h history) {
	dec.Action, dec.run, dec.RunID, dec.filesGone = ActionReuse, h.reusable, h.reusable.ID, h.filesGone
	dec.Changes = nil
	dec.Reason = "nothing changed"
	if r := h.reusable; r.Pipeline != h.pipeline || !slices.Contains(h.addresses, r.Address) {
		dec.Reason = fmt.Sprintf("%s of pipeline %q did the same", r.Address, r.Pipeline)
	} else if h.last != nil && h.last.ID != r.ID {
		dec.Reason = "an earlier run did the same"
	}
}

func (dec *decision) resume(h history) {
	r := h.interrupted
	dec.Action, dec.run, dec.RunID = ActionResume, r, r.ID
	dec.Attempt = max(h.nextAttempt, 1)
	dec.Changes = nil
	switch {
	case r.Status == pipelines.StatusCancelled:
		dec.Reason = "its last run was cancelled"
	case r.Status == pipelines.StatusFailed && r.Error != "":
		dec.Reason = "its last run failed: " + firstLine(r.Error)
	case h.live == Alive:
		dec.Reason = "its last run works still and is followed"
	default:
		dec.Reason = "its last run was interrupted"
	}
}

// anew makes a step run whatever was done before.
func (dec *decision) anew(h history, why string) {
	dec.Action, dec.Reason = anewAction(dec.Kind, h.last != nil), why
}

func anewAction(kind pipelines.Kind, before bool) Action {
	switch {
	case !before:
		return ActionRun
	case kind == pipelines.KindTrain:
		return ActionRetrain
	case kind == pipelines.KindEvaluate:
		return ActionReevaluate
	case kind == pipelines.KindExport:
		return ActionReexport
	}
	return ActionRun
}

// changed decides between training on and training anew, and says why.
func (d *decider) changed(ctx context.Context, dec *decision, h history, sch schema.Schema) error {
	dec.Action = anewAction(dec.Kind, true)
	dec.Reason = "changed: " + changedFields(dec.Changes)
	if dec.Kind != pipelines.KindTrain {
		return nil
	}
	if h.point == nil {
		dec.Reason += "; its last run left no checkpoint to go on from"
		return nil
	}
	ok, why := resumeVerdict(dec.Changes, dec.step.OnChange, *h.point, dec.spec.Train.Epochs)
	if !ok {
		dec.Reason += "; " + why
		return nil
	}
	dec.Action, dec.parent, dec.Start = ActionResumeChange, h.last.ID, h.point
	dec.Keep, dec.Reset = tellEffects(dec.Changes, h.point.Epoch)
	dec.keepOld = map[string]any{}
	for _, c := range dec.Changes {
		if c.Resume == schema.Keep {
			dec.keepOld[strings.TrimPrefix(c.Field, "config.")] = plainNumber(c.Old)
		}
	}
	dec.Reason = fmt.Sprintf("changed: %s; goes on from %s of run %s (epoch %d)",
		changedFields(dec.Changes), h.point.Name, h.last.ID, h.point.Epoch)
	return nil
}

func (dec *decision) waitsFor() []pipelines.Address {
	var out []pipelines.Address
	for _, k := range dec.KnownAfter {
		out = append(out, k.Steps...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
