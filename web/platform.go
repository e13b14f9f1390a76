package web

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/service"
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

type modelsInput struct {
	Framework string `query:"framework" doc:"only models of that adapter"`
	TaskType  string `query:"task_type" doc:"only models for that task"`
}

type modelsOutput struct{ Body ModelList }

// ModelList is the platform's answer to "which models are there".
type ModelList struct {
	Models []adapters.Model `json:"models" nullable:"false"`
	Total  int              `json:"total"`
}

func (s *Server) models(ctx context.Context, in *modelsInput) (*modelsOutput, error) {
	var found []adapters.Model
	if in.Framework != "" {
		a, err := s.adapter(ctx, in.Framework)
		if err != nil {
			return nil, err
		}
		found = a.Models(in.TaskType)
	} else {
		found = s.cfg.Adapters.Models("", in.TaskType)
	}
	if len(found) == 0 && in.TaskType != "" {
		if err := s.checkTask(in.TaskType); err != nil {
			return nil, err
		}
	}
	out := append([]adapters.Model{}, found...)
	for i := range out {
		out[i].TaskTypes = append([]string{}, out[i].TaskTypes...)
	}
	return &modelsOutput{Body: ModelList{Models: out, Total: len(out)}}, nil
}

type schemaInput struct {
	Framework string `query:"framework" doc:"the adapter; without it the server's default"`
	TaskType  string `query:"task_type" doc:"the task; without it image_classification, or the adapter's only one"`
}

type schemaOutput struct{ Body ConfigSchema }

// ConfigSchema is the platform's answer to "what can be configured".
type ConfigSchema struct {
	Schema  schema.Schema             `json:"schema"`
	Presets map[string]map[string]any `json:"presets" doc:"values by preset, nested as in the config block: optimizer.type stands in optimizer"`
}

func (s *Server) configSchema(ctx context.Context, in *schemaInput) (*schemaOutput, error) {
	name := in.Framework
	if name == "" {
		name = s.cfg.Framework
	}
	a, err := s.adapter(ctx, name)
	if err != nil {
		return nil, err
	}
	task, tasks := in.TaskType, a.Info().Tasks
	if task == "" {
		task = "image_classification"
		if len(tasks) == 1 {
			task = tasks[0]
		}
	}
	sc, presets, ok := a.Schema(task)
	if !ok {
		return nil, pipelines.Errorf(pipelines.CodeNotFound, "adapter %q does not take the task %q; it takes: %s", name, task, strings.Join(tasks, ", "))
	}
	if sc.Fields == nil {
		sc.Fields = []schema.Field{}
	}
	out := ConfigSchema{Schema: sc, Presets: map[string]map[string]any{}}
	for preset, values := range presets {
		if out.Presets[preset], err = nest(values); err != nil {
			return nil, fmt.Errorf("preset %s of adapter %s: %w", preset, name, err)
		}
	}
	return &schemaOutput{Body: out}, nil
}

// nest turns dotted names into objects: {"optimizer.type": "sgd"} into
// {"optimizer": {"type": "sgd"}}.
func nest(values map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range values {
		parts := strings.Split(name, ".")
		at := out
		for _, p := range parts[:len(parts)-1] {
			inner, ok := at[p].(map[string]any)
			if !ok {
				if _, taken := at[p]; taken {
					return nil, fmt.Errorf("%s is both a value and a group", p)
				}
				inner = map[string]any{}
				at[p] = inner
			}
			at = inner
		}
		last := parts[len(parts)-1]
		if _, taken := at[last]; taken {
			return nil, fmt.Errorf("%s is both a value and a group", name)
		}
		at[last] = v
	}
	return out, nil
}

type adapterInput struct {
	Name string `path:"name" maxLength:"100" doc:"an adapter's name"`
}

type adapterOutput struct{ Body service.Description }

// describeAdapter tells another server all that planning with an adapter needs.
func (s *Server) describeAdapter(ctx context.Context, in *adapterInput) (*adapterOutput, error) {
	a, err := s.adapter(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &adapterOutput{Body: service.Describe(a, s.cfg.GPUs)}, nil
}

// adapter finds one, on this server or on the one that has it.
func (s *Server) adapter(ctx context.Context, name string) (adapters.Adapter, error) {
	if s.cfg.Services != nil {
		if a, ok, err := s.cfg.Services.Ask(ctx, name); ok || err != nil {
			return a, err
		}
	}
	if a, ok := s.cfg.Adapters.Lookup(name); ok {
		return a, nil
	}
	return nil, pipelines.Errorf(pipelines.CodeNotFound, "there is no adapter %q; known: %s", name, strings.Join(s.cfg.Adapters.Names(), ", "))
}

// checkTask refuses a task that no adapter takes.
func (s *Server) checkTask(task string) error {
	var known []string
	for _, name := range s.cfg.Adapters.Names() {
		a, ok := s.cfg.Adapters.Lookup(name)
		if !ok {
			continue
		}
		for _, t := range a.Info().Tasks {
			if !slices.Contains(known, t) {
				known = append(known, t)
			}
		}
	}
	if slices.Contains(known, task) {
		return nil
	}
	return pipelines.Errorf(pipelines.CodeNotFound, "no adapter takes the task %q; known: %s", task, strings.Join(known, ", "))
}
