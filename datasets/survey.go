package datasets

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// survey are the files of a dataset and their facts, from which the report and
// the index are made.
type survey struct {
	spec    pipelines.DatasetSpec
	classes []string
	splits  []string
	files   []file
	facts   []facts
}

func (s *survey) fill(r *pipelines.DatasetReport) {
	r.Classes = s.classes
	r.Counts, r.Splits = map[string]map[string]int{}, map[string]int{}
	for _, split := range s.splits {
		r.Splits[split] = 0
		r.Counts[split] = map[string]int{}
		for _, class := range s.classes {
			r.Counts[split][class] = 0
		}
	}
	for i, f := range s.files {
		fact := s.facts[i]
		if fact.Kind != "" {
			r.Corrupt = append(r.Corrupt, pipelines.FileProblem{Path: f.path, Kind: fact.Kind, Error: fact.Problem})
			continue
		}
		r.Counts[f.split][f.class]++
		r.Splits[f.split]++
		r.Images++
		r.Bytes += fact.Bytes
		size := [2]int{fact.Width, fact.Height}
		if r.Images == 1 {
			r.MinSize, r.MaxSize = size, size
		}
		for d, v := range size {
			r.MinSize[d], r.MaxSize[d] = min(r.MinSize[d], v), max(r.MaxSize[d], v)
		}
	}
	r.Leaks, r.Duplicates = s.copies()
	r.Fingerprint = s.fingerprint()
}

// copies finds equal contents: across splits (leaks, sorted by their first
// path) and within one (counted).
func (s *survey) copies() (leaks []pipelines.Leak, duplicates int) {
	places := map[[sha256.Size]byte][]int{}
	for i := range s.files {
		if s.facts[i].Kind == "" {
			places[s.facts[i].SHA256] = append(places[s.facts[i].SHA256], i)
		}
	}
	for sum, at := range places {
		if len(at) == 1 {
			continue
		}
		in := map[string]int{}
		leak := pipelines.Leak{SHA256: hex.EncodeToString(sum[:])}
		for _, i := range at {
			in[s.files[i].split]++
			leak.Paths = append(leak.Paths, s.files[i].path)
		}
		duplicates += len(at) - len(in)
		if len(in) > 1 {
			leak.Splits = slices.SortedFunc(maps.Keys(in), func(a, b string) int {
				return slices.Index(splitNames, a) - slices.Index(splitNames, b)
			})
			leaks = append(leaks, leak)
		}
	}
	slices.SortFunc(leaks, func(a, b pipelines.Leak) int { return cmp.Compare(a.Paths[0], b.Paths[0]) })
	return leaks, duplicates
}

// fingerprint hashes what training sees: the classes in order, then each usable
// file's split, class, relative path and content. Where the dataset lies does
// not count.
func (s *survey) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "trainwright dataset 1\n%q\n", s.classes)
	for i, f := range s.files {
		if s.facts[i].Kind == "" {
			fmt.Fprintf(h, "%s %q %q %x\n", f.split, f.class, f.rel, s.facts[i].SHA256)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// index lists the usable files in the order of (split, label, path).
func (s *survey) index(fingerprint string) pipelines.DatasetIndex {
	out := pipelines.DatasetIndex{
		Name: s.spec.Name, Format: formatOf(s.spec), Fingerprint: fingerprint,
		Classes: s.classes, Splits: map[string][]pipelines.Sample{},
	}
	label := make(map[string]int, len(s.classes))
	for i, class := range s.classes {
		label[class] = i
	}
	for i, f := range s.files {
		if s.facts[i].Kind == "" {
			out.Splits[f.split] = append(out.Splits[f.split], pipelines.Sample{Path: f.path, Label: label[f.class]})
		}
	}
	for _, samples := range out.Splits {
		slices.SortStableFunc(samples, func(a, b pipelines.Sample) int { return cmp.Compare(a.Label, b.Label) })
	}
	return out
}

// ignoredNote tells of files whose names are no image's.
func ignoredNote(ignored map[string]int) string {
	if len(ignored) == 0 {
		return ""
	}
	var parts []string
	for _, ext := range slices.Sorted(maps.Keys(ignored)) {
		name := ext
		if name == "" {
			name = "no extension"
		}
		parts = append(parts, fmt.Sprintf("%d with %s", ignored[ext], name))
	}
	return "; it has other files: " + strings.Join(parts, ", ")
}
