// Package timm is the adapter for pytorch-image-models: image classification
// with every model that timm lists, in a Python environment of its own.
package timm

import (
	_ "embed" // the description and the requirements are files beside this one

	"github.com/trainwright/trainwright/adapters/python"
)

// Name is the adapter's name in pipelines.
const Name = "timm"

//go:embed description.json
var description string

//go:embed requirements.txt
var requirements string

// New returns the adapter on a machine.
func New(host python.Host) python.Adapter {
	return python.BuiltIn(Name, description, requirements, host)
}
