package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// compare lists how inputs differ from those of an earlier run, in the order
// of their names. Settings that follow another one are left out unless
// nothing else differs; fields that wait for results are left out too.
func compare(old []byte, in Inputs, spec pipelines.Spec, sch schema.Schema) ([]Change, error) {
	canonical, err := in.Canonical()
	if err != nil {
		return nil, err
	}
	var was, is map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &is); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(old, &was); err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInternal, "the stored inputs of the last run cannot be read: %w", err)
	}
	fields := maps.Clone(was)
	maps.Copy(fields, is)
	var changes, derived []Change
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		o, n := was[field], is[field]
		if bytes.Equal(o, n) || (n == nil && waits(spec, field)) {
			continue
		}
		c := Change{Field: field, Old: decode(o), New: decode(n), Resume: resumeOf(field, sch), Range: fieldRange(spec, field)}
		if follows(spec, field) != "" {
			derived = append(derived, c)
		} else {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return derived, nil
	}
	return changes, nil
}

func decode(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // seeds are 64 bits wide
	var v any
	if d.Decode(&v) != nil {
		return string(raw)
	}
	return v
}

// waits reports that an input's field, or a part above it, waits for results.
// A dataset whose place is not known has no known fingerprint either.
func waits(spec pipelines.Spec, field string) bool {
	for path := range spec.Unknown {
		u := displayField(path)
		if field == u || strings.HasPrefix(field, u+".") {
			return true
		}
		if strings.HasPrefix(u, "dataset") && (strings.HasPrefix(field, "dataset.") || field == "model.num_classes") {
			return true
		}
	}
	return false
}

// follows names what an unwritten config value is derived from.
func follows(spec pipelines.Spec, field string) string {
	if spec.Train == nil {
		return ""
	}
	name, ok := strings.CutPrefix(field, "config.")
	if !ok {
		return ""
	}
	return spec.Train.Config[name].Derived
}

// resumeOf is the resume contract of an input. Config fields have that of the
// adapter's schema; of the train block's own, epochs may grow and the
// learning rate is the schema's; all else decides what is trained.
func resumeOf(field string, sch schema.Schema) schema.Resume {
	name := strings.TrimPrefix(field, "config.")
	switch {
	case field == "epochs":
		return schema.Apply
	case field == "learning_rate":
		name = "optimizer.learning_rate"
	case name == field: // not a config field
		return schema.Forbid
	}
	if f, ok := sch.Field(name); ok && f.Resume != "" {
		return f.Resume
	}
	return schema.Forbid
}

// resumeVerdict says whether changes allow to go on from a checkpoint, and if
// not, why.
func resumeVerdict(changes []Change, onChange pipelines.OnChange, at pipelines.Checkpoint, epochs int) (ok bool, why string) {
	epochsOnly := len(changes) > 0
	for _, c := range changes {
		if c.Resume == schema.Forbid {
			return false, fmt.Sprintf("a change of %s means training anew", c.Field)
		}
		epochsOnly = epochsOnly && c.Field == "epochs"
	}
	switch {
	case onChange == pipelines.OnChangeRetrain:
		return false, "on_change is \"retrain\""
	case onChange != pipelines.OnChangeResume && !epochsOnly:
		return false, "on_change = \"resume\" is not set"
	case at.Epoch >= epochs:
		return false, fmt.Sprintf("the last run has trained %d epochs already, so that nothing would be left to train", at.Epoch)
	}
	return true, ""
}

// tellEffects fills in what each change means for a training that goes on
// after the given epoch, and returns the fields to keep and to reset.
func tellEffects(changes []Change, epoch int) (keep, reset []string) {
	for i := range changes {
		c := &changes[i]
		name := strings.TrimPrefix(c.Field, "config.")
		if c.Field == "learning_rate" {
			name = "optimizer.learning_rate"
		}
		switch c.Resume {
		case schema.Keep:
			keep = append(keep, name)
			c.Effect = fmt.Sprintf("the checkpoint's value %v stays", c.Old)
		case schema.Reset:
			reset = append(reset, name)
			part, _, _ := strings.Cut(name, ".")
			c.Effect = fmt.Sprintf("counts from epoch %d; the state of %s is dropped", epoch+1, part)
		default:
			c.Effect = fmt.Sprintf("counts from epoch %d", epoch+1)
		}
	}
	return keep, reset
}
