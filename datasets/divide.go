package datasets

import (
	"cmp"
	"math"
	"slices"

	"github.com/trainwright/trainwright/engine/rng"
	"github.com/trainwright/trainwright/pipelines"
)

// divide gives every file of a flat listing a split by spec.Split, and leaves
// out what the fractions leave over. The order in which files are dealt out
// depends on nothing but the seed and their names; with stratify every class is
// divided by itself.
func (l *listing) divide(spec pipelines.DatasetSpec) error {
	s := *spec.Split
	sum := s.Train + s.Val + s.Test
	switch {
	case !(s.Train > 0) || !(s.Val > 0) || !(s.Test >= 0):
		return fault(BadSplit, spec, Error{}, "split needs fractions above 0 for train and val and none below 0; it has train = %v, val = %v, test = %v", s.Train, s.Val, s.Test)
	case sum > 1+1e-9:
		return fault(BadSplit, spec, Error{}, "the fractions of split add up to %v; they are of the whole and may be 1 at most", sum)
	}
	groups := map[string][]*file{}
	for i := range l.files {
		f, group := &l.files[i], ""
		if s.Stratify {
			group = f.class
		}
		groups[group] = append(groups[group], f)
	}
	for _, files := range groups {
		deal(files, s)
	}
	l.files = slices.DeleteFunc(l.files, func(f file) bool { return f.split == "" })
	folders := l.folders[""]
	delete(l.folders, "")
	l.folders["train"], l.folders["val"] = folders, folders
	if s.Test > 0 {
		l.folders["test"] = folders
	}
	l.sort()
	return nil
}

// deal divides one group of files. Each split with a fraction gets at least
// one file where there are enough.
func deal(files []*file, s pipelines.Split) {
	rank := make(map[*file]uint64, len(files))
	for _, f := range files {
		rank[f] = rng.New(uint64(s.Seed), "split/"+f.rel).Uint64()
	}
	slices.SortFunc(files, func(a, b *file) int {
		if c := cmp.Compare(rank[a], rank[b]); c != 0 {
			return c
		}
		return cmp.Compare(a.rel, b.rel)
	})
	n := float64(len(files))
	train := int(math.Round(n * s.Train))
	val := int(math.Round(n*(s.Train+s.Val))) - train
	test := int(math.Round(n*(s.Train+s.Val+s.Test))) - train - val
	for _, need := range []*int{&val, &test} {
		fraction := s.Val
		if need == &test {
			fraction = s.Test
		}
		if fraction > 0 && *need == 0 && train > 1 {
			*need, train = 1, train-1
		}
	}
	for i, f := range files {
		switch {
		case i < train:
			f.split = "train"
		case i < train+val:
			f.split = "val"
		case i < train+val+test:
			f.split = "test"
		}
	}
}
