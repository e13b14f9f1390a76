package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/internal/cli/view"
	"github.com/trainwright/trainwright/pipelines"
)

// configSchema is the platform's answer to "what can be configured".
type configSchema struct {
	Schema  schema.Schema  `json:"schema"`
	Presets schema.Presets `json:"presets"`
}

func newSchemaCmd(a *app) *cobra.Command {
	var adapter, task string
	var asJSONSchema bool
	c := describe(&cobra.Command{
		Use:   "schema",
		Short: "Show an adapter's advanced config: fields and presets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.declareAdapters(c.Context())
			ad, err := a.adapter(adapter)
			if err != nil {
				return err
			}
			s, presets, ok := ad.Schema(task)
			if !ok {
				return pipelines.Errorf(pipelines.CodeNotFound, "adapter %q does not take the task %q%s; it takes: %s",
					adapter, task, didYouMean(task, ad.Info().Tasks), strings.Join(ad.Info().Tasks, ", "))
			}
			if asJSONSchema {
				return a.showJSONSchema(adapter, task, s, presets)
			}
			return a.show(configSchema{Schema: s, Presets: presets}, func(w io.Writer) {
				writeSchema(w, a.style(a.Stdout), s, presets)
			})
		},
	}, `
Shows the fields of an adapter's config block for a task: type, default, range
or choices, when a field is active, and what changing it means for a resumed
training (apply, keep, reset, forbid). The presets follow.

With --json-schema it writes a JSON Schema (draft 2020-12) of the config, nested
as in HCL, for other programs' forms, editors and checks. What it refuses,
validate refuses too; validate also knows the preset and the device, which may
leave a field without effect.`)
	c.Flags().StringVar(&adapter, "adapter", "native", "the adapter's `NAME`")
	c.Flags().StringVar(&task, "task", "image_classification", "the task `TYPE`")
	c.Flags().BoolVar(&asJSONSchema, "json-schema", false, "write a JSON Schema of the config")
	return c
}

// showJSONSchema writes the schema as JSON Schema, whether or not JSON is asked for.
func (a *app) showJSONSchema(adapter, task string, s schema.Schema, presets schema.Presets) error {
	text, err := s.JSONSchema(fmt.Sprintf("config of adapter %s for %s", adapter, task), presets)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return a.show(json.RawMessage(text), func(w io.Writer) { fmt.Fprintf(w, "%s\n", text) })
}

func writeSchema(w io.Writer, st view.Style, s schema.Schema, presets schema.Presets) {
	rows := [][]string{{"FIELD", "TYPE", "DEFAULT", "ALLOWED", "ACTIVE WHEN", "ON RESUME", "DESCRIPTION"}}
	for _, f := range s.Fields {
		resume := f.Resume
		if resume == "" {
			resume = schema.Forbid
		}
		rows = append(rows, []string{f.Name, string(f.Type), plain(f.Default), allowed(f), activeWhen(f), string(resume), f.Description})
	}
	view.Table(w, st, "", rows)
	names := presetNames(presets)
	if len(names) == 0 {
		return
	}
	fmt.Fprintln(w)
	head := append([]string{"PRESET"}, names...)
	rows = [][]string{head}
	for _, f := range s.Fields {
		row, used := []string{f.Name}, false
		for _, n := range names {
			v, ok := presets[n][f.Name]
			used = used || ok
			cell := "-"
			if ok {
				cell = plain(v)
			}
			row = append(row, cell)
		}
		if used {
			rows = append(rows, row)
		}
	}
	view.Table(w, st, "", rows)
}

// presetNames lists presets in their usual order, others after them by name.
func presetNames(presets schema.Presets) []string {
	rank := map[string]int{"basic": 1, "standard": 2, "aggressive": 3}
	names := sortedKeys(presets)
	for i := 1; i < len(names); i++ {
		for j := i; j > 0 && rank[names[j]] != 0 && (rank[names[j-1]] == 0 || rank[names[j]] < rank[names[j-1]]); j-- {
			names[j], names[j-1] = names[j-1], names[j]
		}
	}
	return names
}

func allowed(f schema.Field) string {
	switch {
	case len(f.Options) > 0:
		values := make([]string, len(f.Options))
		for i, o := range f.Options {
			values[i] = o.Value
		}
		return strings.Join(values, " | ")
	case f.Min != nil && f.Max != nil:
		return plain(*f.Min) + " to " + plain(*f.Max)
	case f.Min != nil:
		return ">= " + plain(*f.Min)
	case f.Max != nil:
		return "<= " + plain(*f.Max)
	}
	return "-"
}

func activeWhen(f schema.Field) string {
	var when []string
	if c := f.Condition; c != nil {
		when = append(when, c.Field+" is "+strings.ReplaceAll(strings.Trim(plain(c.Value), "[]"), ", ", " or "))
	}
	if len(f.Devices) > 0 {
		when = append(when, "the device is "+strings.Join(f.Devices, " or "))
	}
	if len(when) == 0 {
		return "always"
	}
	return strings.Join(when, " and ")
}

// plain writes a value as a user would in HCL; nil is "-".
func plain(v any) string {
	if v == nil {
		return "-"
	}
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(b), `"`, ""), ",", ", ")
}
