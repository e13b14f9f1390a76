package datasets

import (
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// chooseClasses returns the classes in the order of their labels and drops
// files of others: those that spec names, or train's folders (without a train
// split, all folders) in byte order. nil classes = nothing to go on with.
func (l *listing) chooseClasses(spec pipelines.DatasetSpec) (classes []string, problems []error) {
	known := l.folders["train"]
	if known == nil {
		for _, folders := range l.folders {
			known = append(known, folders...)
		}
		slices.Sort(known)
		known = slices.Compact(known)
	}
	classes = known
	if len(spec.Classes) > 0 {
		classes = spec.Classes
		for i, class := range classes {
			if !slices.Contains(known, class) {
				problems = append(problems, fault(UnknownClass, spec, Error{Class: class}, "classes names %q, which has no folder%s; there are %s", class, didYouMean(class, known), someNames(known)))
			}
			if slices.Contains(classes[:i], class) {
				problems = append(problems, fault(UnknownClass, spec, Error{Class: class}, "classes names %q twice", class))
			}
		}
		if len(problems) > 0 {
			return nil, problems
		}
	}
	for _, split := range splitNames[1:] {
		for _, class := range l.folders[split] {
			if !slices.Contains(known, class) {
				problems = append(problems, fault(ExtraClass, spec, Error{Split: split, Class: class}, "%s has a class %q that train lacks%s; remove or rename the folder", split, class, didYouMean(class, known)))
			}
		}
	}
	chosen := map[string]bool{}
	for _, class := range classes {
		chosen[class] = true
	}
	l.files = slices.DeleteFunc(l.files, func(f file) bool { return !chosen[f.class] })
	return classes, problems
}

// checkClasses looks for classes that cannot be learnt or measured, by what
// the report counts.
func (l *listing) checkClasses(spec pipelines.DatasetSpec, classes []string, report pipelines.DatasetReport) []error {
	counts := report.Counts
	var problems []error
	total := 0
	for _, split := range counts {
		for _, n := range split {
			total += n
		}
	}
	if total == 0 {
		return []error{fault(NoImages, spec, Error{Path: spec.Path}, "it has no usable images (JPEG, PNG, GIF, BMP, WebP)%s%s", ignoredNote(l.ignored), corruptNote(report.Corrupt))}
	}
	if len(classes) < 2 {
		problems = append(problems, fault(OneClass, spec, Error{Class: classes[0]}, "it has one class only (%q); a classifier needs two or more", classes[0]))
	}
	if l.folders["train"] == nil {
		return problems
	}
	for _, class := range classes {
		if counts["train"][class] == 0 {
			problems = append(problems, fault(EmptyClass, spec, Error{Split: "train", Class: class}, "class %q has no usable training images; add some, remove the folder, or leave it out with classes", class))
			continue
		}
		if l.folders["val"] != nil && counts["val"][class] == 0 {
			problems = append(problems, fault(MissingClass, spec, Error{Split: "val", Class: class}, "class %q has training images but none in val, so it cannot be measured; add some, or leave it out with classes", class))
		}
	}
	return problems
}
