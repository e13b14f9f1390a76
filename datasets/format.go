package datasets

import (
	"context"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// format reads one layout of files.
type format struct {
	name string
	// list finds the files of a dataset of classes whose path is spec.Path.
	list func(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error)
	// labels reads the labels of a dataset of boxes, from spec.Path or spec.Paths.
	labels func(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error)
	// write writes an index as this label style into dir; nil = it cannot be.
	write func(dir string, index pipelines.DatasetIndex, names map[string]string) error
}

// formats are those that can be read.
var formats = []format{
	{name: "coco", labels: readCOCO, write: writeCOCO},
	{name: "dice", list: listDice},
	{name: "imagefolder", list: listImageFolder},
	{name: "voc", labels: readVOC, write: writeVOC},
	{name: "yolo", labels: readYOLO, write: writeYOLO},
}

// laterFormats are known names whose tasks this version does not train.
var laterFormats = []string{"custom"}

// Formats are the names of the formats that can be read, sorted.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

func lookupFormat(spec pipelines.DatasetSpec) (format, error) {
	name := formatOf(spec)
	for _, f := range formats {
		if f.name == name {
			return f, nil
		}
	}
	for _, later := range laterFormats {
		if later == name {
			return format{}, fault(Unavailable, spec, Error{}, "format %q is not available in this version; available: %s", name, strings.Join(Formats(), ", "))
		}
	}
	all := append(Formats(), laterFormats...)
	return format{}, fault(Unavailable, spec, Error{}, "unknown format %q%s; available: %s", name, didYouMean(name, all), strings.Join(Formats(), ", "))
}
