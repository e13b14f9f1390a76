package cli

import (
	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/native"
)

// defaultAdapters lists the adapters of this program.
func defaultAdapters() adapters.Registry {
	return adapters.Registry{native.Adapter{}}
}

// defaultSteps lists what `runner step` can run in this process, by adapter.
func defaultSteps() map[string]adapters.StepFunc {
	return map[string]adapters.StepFunc{}
}
