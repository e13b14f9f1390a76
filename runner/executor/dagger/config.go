package dagger

import (
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
)

// Config is an executor block.
type Config struct {
	// Image is the container's base: a reference, or an absolute path on this
	// machine of a folder with a root file system or of an image saved as an
	// OCI archive; "" = DefaultImage.
	Image string
	// GPUs is how many devices each step gets.
	GPUs int
	// User is who the step runs as: "UID:GID"; "" = DefaultUser.
	User string
	// CPUs and Memory are limits that Dagger cannot set; a plan says so.
	CPUs   float64
	Memory string
}

const (
	// DefaultImage is the base where a block names none.
	DefaultImage = "debian:12-slim"
	// DefaultUser is nobody in particular.
	DefaultUser = "1000:1000"
	// toolsImage has pip, to install what a step needs beside its base.
	toolsImage = "python:3.12-slim"
)

// Parse reads an executor block. A block without attributes is that of a run
// that is only followed or stopped.
func Parse(c pipelines.ExecutorConfig) (Config, error) {
	var out Config
	for name, v := range c.Attributes {
		ok := true
		switch name {
		case "image":
			out.Image, ok = v.(string)
		case "user":
			out.User, ok = v.(string)
		case "memory":
			out.Memory, ok = v.(string)
		case "cpus":
			out.CPUs, ok = v.(float64)
		case "gpus":
			switch n := v.(type) {
			case int64:
				out.GPUs = int(n)
			case int:
				out.GPUs = n
			default:
				ok = false
			}
		}
		if !ok {
			return out, pipelines.Errorf(pipelines.CodeInvalid, "%s: %s cannot be %v", c.Address, name, v)
		}
	}
	return out, nil
}

// Notes are what a plan says of steps on this executor.
func (e *Executor) Notes(step pipelines.Step, data *pipelines.DatasetReport) []string {
	var out []string
	if e.Config.CPUs > 0 || e.Config.Memory != "" {
		out = append(out, "cpus and memory are not applied: Dagger sets no limits on a container")
	}
	if data != nil && data.Bytes > largeData && step.Kind != pipelines.KindStep {
		out = append(out, fmt.Sprintf("the dataset (%.1f GB) is copied once into a cache volume of the engine", float64(data.Bytes)/1e9))
	}
	return out
}

// largeData is from where on a dataset goes through a cache volume: below it
// the engine's own copy, made anew for each change, is cheaper.
const largeData = 2e9
