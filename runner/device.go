package runner

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// deviceClass is what decides results: cpu or cuda. "" where a step computes
// nothing on a device of its choice.
func (p *Planner) deviceClass(spec pipelines.Spec, info adapters.Info, exec pipelines.ExecutorConfig) (string, *Problem) {
	want := "auto"
	switch {
	case spec.Train != nil:
		want = spec.Train.Device
	case spec.Evaluate != nil:
		want = spec.Evaluate.Device
	default:
		return "", nil
	}
	gpus := p.GPUs
	if exec.Type != "" && exec.Type != "local" {
		gpus = gpusOf(exec)
	}
	takes := slices.Contains(info.Devices, "cuda")
	class, number, _ := strings.Cut(want, ":")
	if class == "" || class == "auto" {
		if gpus > 0 && takes {
			return "cuda", nil
		}
		return "cpu", nil
	}
	r := fieldRange(spec, "device")
	if !slices.Contains(info.Devices, class) {
		pr := problem(r, "Unsupported device", "Adapter %q runs on %s, not on %q.", info.Name, strings.Join(info.Devices, ", "), class)
		return class, &pr
	}
	if class == "cuda" && gpus == 0 {
		pr := problem(r, "No such device", "device = %q needs a CUDA device and the executor has none. Use device = \"auto\", or an executor with gpus.", want)
		return class, &pr
	}
	// A cluster's executor says less than its pods have (gpu_resource).
	if n, err := strconv.Atoi(number); err == nil && n >= gpus && exec.Type != "kubernetes" {
		pr := problem(r, "No such device", "device = %q, but %s has %d CUDA device(s), counted from cuda:0. Use device = \"cuda\" for any of them.", want, executorName(exec), gpus)
		return class, &pr
	}
	return class, nil
}

// tooMany is a problem where an executor gives a step more GPUs or machines
// than its adapter can use.
func tooMany(address pipelines.Address, info adapters.Info, exec pipelines.ExecutorConfig) *Problem {
	if info.MaxGPUs == 0 {
		return nil
	}
	for _, name := range []string{"gpus", "nodes"} {
		if n, ok := number(exec.Attributes[name]); ok && int(n) > info.MaxGPUs {
			pr := problem(exec.Range, "More devices than can be used",
				"%s: %s asks for %s = %d, but adapter %q trains on %d GPU. Set %s = %d; the steps of a matrix run beside each other, one on each GPU.",
				address, executorName(exec), name, int(n), info.Name, info.MaxGPUs, name, info.MaxGPUs)
			return &pr
		}
	}
	return nil
}

// settle takes settings out of force that have no effect on the step's device.
// One that the user wrote is a problem.
func (dec *decision) settle(sch schema.Schema) {
	if dec.spec.Train == nil {
		return
	}
	config := maps.Clone(dec.spec.Train.Config)
	for _, f := range sch.Fields {
		s := config[f.Name]
		if s.Inactive != "" {
			continue
		}
		why := f.NoEffect(s.Value, dec.Device)
		switch {
		case why == "":
		case s.Origin.Written():
			dec.problems = append(dec.problems, problem(s.Range, "Setting not supported",
				"%s: %s = %v can have no effect here: %s. Remove it, or run where it is supported.", dec.Address, f.Name, s.Value, why))
		default:
			s.Inactive = why
			config[f.Name] = s
		}
	}
	train := *dec.spec.Train
	train.Config = config
	dec.spec.Train = &train
	dec.Settings, dec.Effective = notes(config), config.Active()
}

// gpusOf reads how many GPUs an executor block asks for.
func gpusOf(exec pipelines.ExecutorConfig) int {
	if n, ok := number(exec.Attributes["gpus"]); ok {
		return int(n)
	}
	if r, ok := exec.Attributes["resources"].(map[string]any); ok && r["nvidia.com/gpu"] != nil {
		return 1
	}
	return 0
}
