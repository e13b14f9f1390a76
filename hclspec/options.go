package hclspec

import (
	"github.com/trainwright/trainwright/hclspec/schema"
	"github.com/trainwright/trainwright/pipelines"
)

// Options says how a pipeline is loaded. The zero value loads from files with
// no variables, an empty environment and no adapters.
type Options struct {
	Vars     []string       // NAME=VALUE, as given by --var, in order
	VarFiles []string       // as given by --var-file, in order; relative to the working folder
	Values   map[string]any // values of variables as plain Go values, above all others (a plan file's)
	// Environ looks up an environment variable: RUNNER_VAR_x, env("X") and
	// secret("X"). os.LookupEnv in the command.
	Environ func(name string) (string, bool)
	Catalog Catalog
	// External reads the committed description of a user's own adapter. Its
	// error says what is wrong with it and which command mends that. Nil: no
	// adapters of the user's own.
	External func(c pipelines.AdapterConfig) (Catalog, error)
	// Validate checks only: an unset environment variable or a variable
	// without a value is unknown, and what this version cannot execute is no error.
	Validate bool
	// Sources are read in place of the files (a plan file's, a submission).
	// Their file names are relative to the path given to Load.
	Sources []pipelines.Source
	// Open are texts that an editor holds, by absolute file name. They count in
	// place of what is on disk.
	Open map[string][]byte
	// Base is the folder that relative paths are resolved against; "" = the pipeline's own.
	Base string
	// Submission restricts sources that somebody sent; nil = they are the
	// user's own files.
	Submission *Submission
	Version    string // of the runner, for required_version; "" or "dev" fits every constraint
}

// Submission is what sources may use whose author may not read this machine:
// no file(), no store, no adapter of their own, and of the environment only
// what is listed.
type Submission struct {
	Env []string // names that env() and secret() may read
}

// Catalog is what the language needs to know of adapters. Its methods are
// pure and fast.
type Catalog interface {
	// Adapters lists the known adapters in a fixed order.
	Adapters() []Adapter
	// Models lists an adapter's models for a task; "" = every task.
	Models(adapter, task string) []Model
	// Schema returns an adapter's config schema and presets for a task.
	Schema(adapter, task string) (s schema.Schema, p schema.Presets, ok bool)
}

// Adapter is what the language knows of an adapter.
type Adapter struct {
	Name    string
	License string   // SPDX id
	Tasks   []string // image_classification, …
	Formats []string // dataset formats it takes
	Devices []string // cpu, cuda
	Kinds   []string // train, evaluate, export
}

// Model is what the language knows of a model.
type Model struct {
	Name       string
	Tasks      []string
	ImageSize  int // default, pixels
	Pretrained bool
	License    string // SPDX id
}

func (o Options) environ(name string) (string, bool) {
	if o.Environ == nil {
		return "", false
	}
	return o.Environ(name)
}
