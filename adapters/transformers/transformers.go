// Package transformers is the adapter for Hugging Face transformers: image
// classification and object detection through its Trainer, in a Python
// environment of its own. Nothing is downloaded but that environment.
package transformers

import (
	_ "embed" // the description and the requirements are files beside this one

	"github.com/trainwright/trainwright/adapters/python"
)

// Name is the adapter's name in pipelines.
const Name = "transformers"

//go:embed description.json
var description string

//go:embed requirements.txt
var requirements string

// New returns the adapter on a machine.
func New(host python.Host) python.Adapter {
	return python.BuiltIn(Name, description, requirements, host)
}
