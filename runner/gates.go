package runner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// gates applies a dataset's checks to what was found. Errors stop the plan.
func gates(spec pipelines.DatasetSpec, report pipelines.DatasetReport) Problems {
	var out Problems
	what := "files"
	if report.Boxes != nil {
		what = "files or labels"
	}
	if n := len(report.Corrupt); n > spec.Checks.MaxCorrupt {
		out = append(out, problem(spec.Range, "Corrupt images",
			"Dataset %q has %d %s that cannot be read and max_corrupt allows %d: %s. Repair or remove them, or raise checks { max_corrupt }.",
			spec.Name, n, what, spec.Checks.MaxCorrupt, someProblems(report.Corrupt)))
	} else if n > 0 {
		out = append(out, warning(spec.Range, "Corrupt images",
			"Dataset %q has %d %s that cannot be read and are left out: %s.", spec.Name, n, what, someProblems(report.Corrupt)))
	}
	if min := spec.Checks.MinPerClass; min > 0 {
		var few []string
		for _, class := range report.Classes {
			if n := report.Counts["train"][class]; n < min {
				few = append(few, fmt.Sprintf("%s (%d)", class, n))
			}
		}
		if len(few) > 0 {
			out = append(out, problem(spec.Range, "Too few images in a class",
				"Dataset %q must have at least %d training images per class (min_per_class), and these have fewer: %s.",
				spec.Name, min, some(few)))
		}
	}
	return append(out, leakage(spec, report)...)
}

func leakage(spec pipelines.DatasetSpec, report pipelines.DatasetReport) Problems {
	if len(report.Leaks) == 0 || spec.Checks.Leakage == "ignore" {
		return nil
	}
	l := report.Leaks[0]
	detail := fmt.Sprintf("In dataset %q %d images stand in more than one split (%s), so that metrics would flatter the model. First: %s.",
		spec.Name, len(report.Leaks), strings.Join(l.Splits, " and "), strings.Join(l.Paths, " = "))
	if spec.Checks.Leakage == "warn" {
		return Problems{warning(spec.Range, "Images leak between splits", "%s", detail)}
	}
	return Problems{problem(spec.Range, "Images leak between splits",
		"%s Remove the copies, or set checks { leakage = \"warn\" }.", detail)}
}

// usable says whether a step finds the split that it works on.
func usable(spec pipelines.Spec, report pipelines.DatasetReport, r pipelines.Range) Problems {
	split := "train"
	if spec.Evaluate != nil {
		split = spec.Evaluate.Split
	}
	var out Problems
	if report.Splits[split] == 0 && len(report.Splits) > 0 {
		out = append(out, problem(r, "Split is empty", "%s needs images in split %q of dataset %q, which has none (it has: %s).",
			spec.Address, split, report.Name, strings.Join(slices.Sorted(maps.Keys(report.Splits)), ", ")))
	}
	if m := spec.Model; m != nil && m.NumClasses > 0 && len(report.Classes) > 0 && m.NumClasses != len(report.Classes) {
		out = append(out, problem(fieldRange(spec, "model.num_classes"), "Number of classes contradicts the dataset",
			"%s: num_classes = %d, but dataset %q has %d classes (%s). Remove num_classes, which is found in the dataset, or correct the dataset.",
			spec.Address, m.NumClasses, report.Name, len(report.Classes), some(report.Classes)))
	}
	return out
}

func someProblems(files []pipelines.FileProblem) string {
	var list []string
	for _, f := range files {
		place := f.Path
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", f.Path, f.Line)
		}
		list = append(list, place+" ("+f.Error+")")
	}
	return some(list)
}

// some joins at most three items and says how many more there are.
func some(list []string) string { return someOf(list, 3) }
