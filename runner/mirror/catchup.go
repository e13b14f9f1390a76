package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// Copy is a run's folder that is made like another. Each call is carried out
// whole or not at all.
type Copy interface {
	// Put makes an entry of the other folder's files, in place of what has its
	// name. An error of code not_found, or fs.ErrNotExist, says that they are
	// gone there.
	Put(ctx context.Context, name string, files []File) error
	// Link points the link name at its neighbour target.
	Link(ctx context.Context, name, target string) error
	// Remove removes an entry and the links to it.
	Remove(ctx context.Context, name string) error
}

// tries is how often a folder that changes all the time is listed.
const tries = 10

// CatchUp makes a copy that has some entries have those that are wanted. list
// tells both, and is asked again when something was gone meanwhile.
func CatchUp(ctx context.Context, list func(context.Context) (want, have Entries, err error), to Copy) error {
	for try := 1; ; try++ {
		want, have, err := list(ctx)
		if err == nil {
			err = catchUp(ctx, want, have, to)
		}
		gone := pipelines.CodeOf(err) == pipelines.CodeNotFound || errors.Is(err, fs.ErrNotExist)
		if !gone || try == tries {
			return err
		}
	}
}

func catchUp(ctx context.Context, want, have Entries, to Copy) error {
	names := slices.Sorted(maps.Keys(want))
	before := maps.Clone(have) // which the copy may keep up to date
	for _, name := range names {
		if files := want[name]; files[0].Link == "" && !same(files, before[name]) {
			if err := to.Put(ctx, name, files); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	needed := map[string]bool{}
	links := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return target(name, want[name]) == "" })
	slices.SortStableFunc(links, func(a, b string) int { return depth(want, a) - depth(want, b) })
	for _, name := range links {
		files := want[name]
		if want[target(name, files)] == nil { // listed as it was moved: it stays until the next time
			if old := before[name]; old != nil {
				needed[target(name, old)] = true
			}
		} else if !same(files, before[name]) {
			if err := to.Link(ctx, name, files[0].Link); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if !slices.ContainsFunc(names, isCheckpoint) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if isCheckpoint(name) && want[name] == nil && !needed[name] {
			if err := to.Remove(ctx, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// depth is how many links lead from a name to what is none.
func depth(want Entries, name string) int {
	n := 0
	for ; n < len(want) && want[name] != nil && want[name][0].Link != ""; n++ {
		name = target(name, want[name])
	}
	return n
}

func isCheckpoint(name string) bool { return strings.HasPrefix(name, Checkpoints+"/") }

// same reports that an entry is as it is wanted.
func same(want, have []File) bool {
	return slices.EqualFunc(want, have, func(w, h File) bool {
		return w.Path == h.Path && w.Link == h.Link && w.Size == h.Size && w.SHA256 == h.SHA256 &&
			(w.Time.IsZero() || w.Time.Equal(h.Time))
	})
}
