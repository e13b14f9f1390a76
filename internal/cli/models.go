package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
)

// modelList is the platform's answer to "which models are there".
type modelList struct {
	Models []adapters.Model `json:"models"`
	Total  int              `json:"total"`
}

func newModelsCmd(a *app) *cobra.Command {
	var framework, task string
	c := describe(&cobra.Command{
		Use:   "models",
		Short: "List the models that can be trained",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.declareAdapters(c.Context())
			if framework != "" {
				if _, err := a.adapter(framework); err != nil {
					return err
				}
			}
			if err := a.checkTask(task); err != nil {
				return err
			}
			models := a.Adapters.Models(framework, task)
			return a.show(modelList{Models: models, Total: len(models)}, func(w io.Writer) {
				rows := [][]string{{"NAME", "FRAMEWORK", "PARAMETERS", "IMAGE", "PRETRAINED", "LICENSE", "DESCRIPTION"}}
				for _, m := range models {
					rows = append(rows, []string{m.ModelName, m.Framework, m.Parameters, strconv.Itoa(m.DefaultImageSize),
						map[bool]string{true: "yes", false: "no"}[m.Pretrained], m.License, m.Description})
				}
				view.Table(w, a.style(a.Stdout), "", rows)
			})
		},
	}, `
Lists the models of every adapter, those that the pipeline in this folder
declares among them, with their parameter count, the image size
they are made for and their licence.`)
	c.Flags().StringVar(&framework, "framework", "", "only models of the adapter `NAME`")
	c.Flags().StringVar(&task, "task", "", "only models for the task `TYPE`, e.g. image_classification")
	return c
}

// adapter finds an adapter by name, or says which there are.
func (a *app) adapter(name string) (adapters.Adapter, error) {
	if ad, ok := a.Adapters.Lookup(name); ok {
		return ad, nil
	}
	return nil, pipelines.Errorf(pipelines.CodeNotFound, "there is no adapter %q%s; known adapters: %s",
		name, didYouMean(name, a.Adapters.Names()), strings.Join(a.Adapters.Names(), ", "))
}

// checkTask refuses a task type that no adapter takes; "" is none.
func (a *app) checkTask(task string) error {
	if task == "" {
		return nil
	}
	var known []string
	for _, ad := range a.Adapters {
		for _, t := range ad.Info().Tasks {
			if !slices.Contains(known, t) {
				known = append(known, t)
			}
		}
	}
	if slices.Contains(known, task) {
		return nil
	}
	return pipelines.Errorf(pipelines.CodeNotFound, "no adapter takes the task %q%s; known tasks: %s",
		task, didYouMean(task, known), strings.Join(known, ", "))
}

// didYouMean is "; did you mean "x"?" for the nearest known name within two edits, or "".
func didYouMean(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := levenshtein.Distance(name, k, nil); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
