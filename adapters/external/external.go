// Package external is a user's own adapter: a Python file or package beside
// the pipeline, declared by an adapter block, known to validate and plan by
// the description that is committed in .runner.schemas/NAME.json.
package external

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trainwright/trainwright/adapters/python"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
)

// SchemaDir is the committed folder of descriptions, beside the pipeline.
const SchemaDir = ".runner.schemas"

// describeCommand is what mends a missing or stale description.
const describeCommand = "runner adapters describe"

// Path is where the description of an adapter lies.
func Path(dir, name string) string { return filepath.Join(dir, SchemaDir, name+".json") }

// Load reads a declared adapter's description and checks that it was made from
// the source as it is now. It runs no Python. dir is the pipeline's folder.
func Load(dir string, c pipelines.AdapterConfig, host python.Host) (python.Adapter, error) {
	a, key, err := open(c, host)
	if err != nil {
		return a, err
	}
	path := Path(dir, c.Name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, pipelines.Errorf(pipelines.CodeNotFound,
			"its description %s is not there; make it, and commit it, with: %s", filepath.Join(SchemaDir, c.Name+".json"), describeCommand)
	}
	if err != nil {
		return a, err
	}
	d, err := python.ParseDescription(text)
	if err != nil {
		return a, pipelines.Errorf(pipelines.CodeInvalid, "%s cannot be used: %w; make it anew with: %s", path, err, describeCommand)
	}
	if d.Key != key {
		return a, pipelines.Errorf(pipelines.CodeStale,
			"its source, its requirements or the SDK changed since %s was made; make it anew with: %s", filepath.Join(SchemaDir, c.Name+".json"), describeCommand)
	}
	a.Describe = func() *python.Description { return d }
	return a, nil
}

// open finds an adapter's source and requirements.
func open(c pipelines.AdapterConfig, host python.Host) (a python.Adapter, key string, err error) {
	info, err := os.Stat(c.Source)
	switch {
	case err != nil:
		return a, "", fmt.Errorf("its source cannot be read: %w", err)
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(c.Source, "__init__.py")); err != nil {
			return a, "", fmt.Errorf("its source %s is a folder without __init__.py; name the adapter's .py file, or a package", c.Source)
		}
	case filepath.Ext(c.Source) != ".py":
		return a, "", fmt.Errorf("its source %s is no .py file", c.Source)
	}
	requirements, err := python.ReadRequirements(c.Requirements)
	if err != nil {
		return a, "", fmt.Errorf("its requirements cannot be read: %w", err)
	}
	if key, err = python.SourceKey(c.Source, requirements); err != nil {
		return a, "", err
	}
	return python.Adapter{Name: c.Name, Source: c.Source, Requirements: requirements, Strict: c.Strict, Host: host}, key, nil
}

// Describe writes a declared adapter's description, unless it is up to date.
// Its environment must be there.
func Describe(ctx context.Context, dir string, c pipelines.AdapterConfig, host python.Host) (written bool, warnings []string, err error) {
	a, key, err := open(c, host)
	if err != nil {
		return false, nil, fmt.Errorf("adapter %q: %w", c.Name, err)
	}
	if _, err := Load(dir, c, host); err == nil {
		return false, nil, nil
	}
	e := python.Environment{Adapter: c.Name, Requirements: a.Requirements, Host: host}
	text, warnings, err := e.RunDescribe(ctx, c.Source, key)
	if err != nil {
		return false, warnings, err
	}
	path := Path(dir, c.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, warnings, err
	}
	return true, warnings, durable.WriteFile(path, text, 0o644)
}

// Try opens an adapter that no pipeline need declare, and runs its Python once
// to learn what it offers; nothing is written. Its environment must be there.
func Try(ctx context.Context, c pipelines.AdapterConfig, host python.Host) (a python.Adapter, warnings []string, err error) {
	a, key, err := open(c, host)
	if err != nil {
		return a, nil, fmt.Errorf("adapter %q: %w", c.Name, err)
	}
	e := python.Environment{Adapter: c.Name, Requirements: a.Requirements, Host: host}
	text, warnings, err := e.RunDescribe(ctx, c.Source, key)
	if err != nil {
		return a, warnings, err
	}
	d, err := python.ParseDescription(text)
	a.Describe = func() *python.Description { return d }
	return a, warnings, err
}

// Environment is the one that a declared adapter runs in.
func Environment(c pipelines.AdapterConfig, host python.Host) (python.Environment, error) {
	a, _, err := open(c, host)
	if err != nil {
		return python.Environment{}, fmt.Errorf("adapter %q: %w", c.Name, err)
	}
	return python.Environment{Adapter: c.Name, Requirements: a.Requirements, Host: host}, nil
}
