// Package datasets looks at image data: it lists samples, finds classes,
// divides and joins, reads every file once to find what is corrupt, doubled or
// leaking between splits, and makes the fingerprint that plans are made of.
// One file a format; formats are listed in format.go.
//
// Formats of images by class:
//
//	imagefolder   ROOT/{train,val[,test]}/CLASS/**.jpg, or flat ROOT/CLASS/** with a split
//	dice          ROOT/{train,val[,test]}/CLASS/**.jpg, always divided already
//
// Formats of images with boxes (coco.go, yolo.go and voc.go say where labels lie):
//
//	coco          a JSON file per split: boxes, outlines, keypoints
//	yolo          data.yaml or folders, a text file per image
//	voc           an XML file per image
//
// One set in these three styles has one fingerprint.
//
// Classes are the folder names in byte order, labels count from 0, samples are
// in the order of (class, path): what torchvision's ImageFolder gives. Unlike
// it, val and test use train's labels, whatever folders they have.
package datasets

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// Catalog looks at datasets. It fulfils runner.Datasets and is safe for
// concurrent use.
type Catalog struct {
	CacheFile string // remembers what was read, by path, size, times and inode; "" = only in memory
	Workers   int    // files read at once; 0 = one per processor

	cache cache
}

// Inspect reads every file once and reports what it found. Problems that make
// the data unusable for training (*Error, possibly several joined) come with
// the report as far as it goes; corrupt files and leaks are only reported, the
// caller holds them against the dataset's checks.
func (c *Catalog) Inspect(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetReport, error) {
	_, report, err := c.look(ctx, spec)
	return report, err
}

// Index lists the samples of every split. Files that cannot be used are left
// out, as Inspect's report says. Its fingerprint is Inspect's.
func (c *Catalog) Index(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, error) {
	index, _, err := c.look(ctx, spec)
	return index, err
}

func (c *Catalog) look(ctx context.Context, spec pipelines.DatasetSpec) (pipelines.DatasetIndex, pipelines.DatasetReport, error) {
	if f, err := lookupFormat(spec); err == nil && f.labels != nil {
		return c.lookBoxes(ctx, spec)
	}
	report := pipelines.DatasetReport{Name: spec.Name, Path: spec.Path, Format: formatOf(spec)}
	l, err := list(ctx, spec)
	if err != nil {
		return pipelines.DatasetIndex{}, report, err
	}
	classes, problems := l.chooseClasses(spec)
	if len(classes) == 0 {
		return pipelines.DatasetIndex{}, report, errors.Join(problems...)
	}
	facts, err := c.examine(ctx, l.files)
	if err != nil {
		return pipelines.DatasetIndex{}, report, err
	}
	s := survey{spec: spec, classes: classes, splits: slices.Collect(maps.Keys(l.folders)), files: l.files, facts: facts}
	s.fill(&report)
	report.Ignored = l.ignored
	problems = append(problems, l.checkClasses(spec, classes, report)...)
	if len(problems) > 0 {
		return pipelines.DatasetIndex{}, report, errors.Join(problems...)
	}
	return s.index(report.Fingerprint), report, nil
}

func (c *Catalog) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// formatOf is the format that spec means; a union has that of its members.
func formatOf(spec pipelines.DatasetSpec) string {
	switch {
	case spec.Format != "":
		return spec.Format
	case len(spec.Union) > 0:
		return formatOf(spec.Union[0])
	}
	return "imagefolder"
}
