package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets"
)

func newDatasetConvertCmd(a *app) *cobra.Command {
	var from, to string
	c := describe(&cobra.Command{
		Use:   "convert PATH DIR",
		Short: "Write a detection dataset in another label style",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := a.absPath(args[0])
			if err != nil {
				return err
			}
			dir, err := a.absPath(args[1])
			if err != nil {
				return err
			}
			spec, err := datasets.Detect(path)
			if err != nil && from == "" {
				return err
			}
			spec.Name = "dataset"
			if from != "" {
				spec.Format, spec.Path, spec.Split = from, path, nil
			}
			done, err := newDatasets().Convert(c.Context(), spec, dir, to)
			if err != nil {
				return err
			}
			return a.show(done, func(w io.Writer) {
				fmt.Fprintf(w, "Wrote %d images with %d boxes into %s as %s.\n", done.Images, done.Boxes, dir, done.Format)
				for _, what := range done.Lost {
					fmt.Fprintf(w, "Left out, since %s cannot say it: %s.\n", done.Format, what)
				}
				fmt.Fprintf(w, "Fingerprint %s\n", done.Fingerprint)
			})
		},
	}, `
Reads a dataset of images with boxes (coco, yolo or voc) and writes it into the
folder DIR in another label style, images and splits included, then reads it
back. Boxes keep their exact places, so the fingerprint stays; outlines and
keypoints stay where the style has a place for them, and what is left out is
told.`)
	c.Flags().StringVar(&to, "to", "", "write labels as `FORMAT`: coco, yolo or voc")
	c.Flags().StringVar(&from, "format", "", "read it as `FORMAT` instead of the one that it looks like")
	_ = c.MarkFlagRequired("to")
	return c
}
