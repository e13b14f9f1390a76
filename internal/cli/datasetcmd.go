package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
)

func newDatasetCmd(a *app) *cobra.Command {
	c := describe(&cobra.Command{
		Use:   "dataset",
		Short: "Look at a dataset, convert its labels, or make a sample one",
	}, "Looks at image datasets, converts labels, and makes samples to try things with.")
	c.AddCommand(newDatasetInspectCmd(a), newDatasetConvertCmd(a), newDatasetSampleCmd(a))
	return c
}

func newDatasetInspectCmd(a *app) *cobra.Command {
	spec := pipelines.DatasetSpec{Name: "dataset"}
	c := describe(&cobra.Command{
		Use:   "inspect PATH",
		Short: "Count classes and images; find corrupt files and leakage",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := args[0]
			if !strings.Contains(path, "://") {
				abs, err := a.absPath(path)
				if err != nil {
					return err
				}
				path = abs
			}
			path, err := a.newData().cache.Fetch(c.Context(), path)
			if err != nil {
				return err
			}
			found, err := datasets.Detect(path)
			if err != nil {
				return err
			}
			found.Name = spec.Name
			if spec.Format != "" {
				found.Format = spec.Format
			}
			r, err := newDatasets().Inspect(c.Context(), found)
			var problem *datasets.Error
			if err != nil && !(errors.As(err, &problem) && r.Images > 0) {
				return err
			}
			if serr := a.show(r, func(w io.Writer) { view.Dataset(w, a.style(a.Stdout), r, found.Split) }); serr != nil {
				return serr
			}
			if err != nil && a.json {
				return exitStatus(exitError)
			}
			return err
		},
	}, `
Reads every image of a folder once and shows its format, classes and counts per
split, image sizes, unreadable files, images that stand in two splits, and the
fingerprint that plans are made of. A flat folder of classes is divided 80/20
as a new pipeline would. Of detection data (coco, yolo, voc) every label is
read: what cannot be is told with its file and line.`)
	c.Flags().StringVar(&spec.Format, "format", "", "read it as `FORMAT` instead of the one that it looks like")
	return c
}
