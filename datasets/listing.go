package datasets

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// splitNames are the splits, in the order in which they are told.
var splitNames = []string{"train", "val", "test"}

// file is an image file with its place in the dataset.
type file struct {
	path  string // absolute
	rel   string // within the dataset, with slashes: what the fingerprint sees
	class string
	split string // "" until a flat dataset is divided
}

// listing is what lies in a dataset's folders.
type listing struct {
	folders map[string][]string // split -> its class folders, sorted, empty ones too
	files   []file              // sorted by (split, class, rel)
	ignored map[string]int      // extension -> files that are no image type
}

func newListing() *listing {
	return &listing{folders: map[string][]string{}, ignored: map[string]int{}}
}

// list finds the files of spec: of its union, of its paths, or by its format.
func list(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error) {
	spec = absolute(spec)
	if len(spec.Transforms) > 0 {
		return nil, transformsUnavailable(spec)
	}
	if len(spec.Union) > 0 {
		return listUnion(ctx, spec)
	}
	f, err := lookupFormat(spec)
	if err != nil {
		return nil, err
	}
	if len(spec.Paths) > 0 {
		return listPaths(ctx, spec)
	}
	if err := checkFolder(spec, spec.Path); err != nil {
		return nil, err
	}
	return f.list(ctx, spec)
}

// absolute makes local paths absolute.
func absolute(spec pipelines.DatasetSpec) pipelines.DatasetSpec {
	one := func(path string) string {
		if path == "" || strings.Contains(path, "://") {
			return path
		}
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
		return path
	}
	spec.Path = one(spec.Path)
	paths := make(map[string]string, len(spec.Paths))
	for split, path := range spec.Paths {
		paths[split] = one(path)
	}
	spec.Paths = paths
	return spec
}

// listPaths reads one folder of class folders per split.
func listPaths(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error) {
	if spec.Split != nil {
		return nil, fault(BadSplit, spec, Error{}, "paths and split contradict each other: paths name the splits already; remove one of the two")
	}
	l := newListing()
	for name := range spec.Paths {
		if !slices.Contains(splitNames, name) {
			return nil, fault(UnknownSplit, spec, Error{Split: name}, "paths has an unknown split %q%s; splits are train, val and test", name, didYouMean(name, splitNames))
		}
	}
	for _, split := range splitNames {
		root, ok := spec.Paths[split]
		if !ok {
			continue
		}
		if err := checkFolder(spec, root); err != nil {
			return nil, err
		}
		if err := l.addSplit(ctx, spec, root, split, split+"/"); err != nil {
			return nil, err
		}
	}
	if l.folders["train"] != nil && l.folders["val"] == nil {
		return nil, fault(MissingSplit, spec, Error{Split: "val"}, "paths names train but not val; add val, on which each epoch is measured")
	}
	return l, nil
}

// listUnion joins its members; the same path in two of them stays apart by the
// member's number.
func listUnion(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error) {
	if spec.Path != "" || len(spec.Paths) > 0 || spec.Split != nil {
		return nil, unionBeside(spec)
	}
	all := newListing()
	for i, member := range spec.Union {
		l, err := list(ctx, member)
		if err != nil {
			return nil, err
		}
		if len(member.Classes) > 0 {
			if _, problems := l.chooseClasses(member); len(problems) > 0 {
				return nil, problems[0]
			}
		}
		for split, folders := range l.folders {
			for _, class := range folders {
				if len(member.Classes) == 0 || slices.Contains(member.Classes, class) {
					all.folders[split] = append(all.folders[split], class)
				}
			}
		}
		for _, f := range l.files {
			f.rel = strconv.Itoa(i) + "/" + f.rel
			all.files = append(all.files, f)
		}
		for ext, n := range l.ignored {
			all.ignored[ext] += n
		}
	}
	for split, folders := range all.folders {
		slices.Sort(folders)
		all.folders[split] = slices.Compact(folders)
	}
	all.sort()
	return all, nil
}

// addSplit adds the class folders of root as a split.
func (l *listing) addSplit(ctx context.Context, spec pipelines.DatasetSpec, root, split, prefix string) error {
	classes, err := subfolders(root)
	if err != nil {
		return fault(WrongFolder, spec, Error{Path: root, Split: split}, "%v", err)
	}
	if len(classes) == 0 {
		return fault(WrongFolder, spec, Error{Path: root, Split: split}, "%s holds no class folders; wanted %s/CLASS/image.jpg%s", root, root, hint(root))
	}
	l.folders[split] = classes
	for _, class := range classes {
		found, err := l.walk(ctx, root, class)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fault(Unreadable, spec, Error{Path: root, Split: split, Class: class}, "%w; check the folder and its permissions", err)
		}
		for _, f := range found {
			f.class, f.split, f.rel = class, split, prefix+f.rel
			l.files = append(l.files, f)
		}
	}
	l.sort()
	return nil
}

func (l *listing) sort() {
	slices.SortFunc(l.files, func(a, b file) int {
		if c := slices.Index(splitNames, a.split) - slices.Index(splitNames, b.split); c != 0 {
			return c
		}
		if c := strings.Compare(a.class, b.class); c != 0 {
			return c
		}
		return strings.Compare(a.rel, b.rel)
	})
}

func transformsUnavailable(spec pipelines.DatasetSpec) error {
	return fault(Unavailable, spec, Error{}, "transforms is not available in this version; remove it (augmentation belongs into config { augmentation { … } } of train)")
}

func unionBeside(spec pipelines.DatasetSpec) error {
	return fault(WrongFolder, spec, Error{}, "union stands beside path, paths or split; divide and place the datasets that it joins instead")
}
