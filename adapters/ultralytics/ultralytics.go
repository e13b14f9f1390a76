// Package ultralytics is the adapter for Ultralytics YOLO: detection, segmentation,
// pose and classification. The framework is under AGPL-3.0: nothing of it is in
// this program, it runs in a process and a Python environment of its own.
package ultralytics

import (
	_ "embed" // the description and the requirements are files beside this one

	"github.com/trainwright/trainwright/adapters/python"
)

// Name is the adapter's name in pipelines.
const Name = "ultralytics"

//go:embed description.json
var description string

//go:embed requirements.txt
var requirements string

// New returns the adapter on a machine.
func New(host python.Host) python.Adapter {
	return python.BuiltIn(Name, description, requirements, host)
}
