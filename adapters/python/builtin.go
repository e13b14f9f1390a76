package python

import "sync"

// BuiltIn is an adapter whose Python comes with this program: a module of
// platform_sdk, described when the program was made for the pinned versions
// of its requirements.
func BuiltIn(name, description, requirements string, host Host) Adapter {
	return Adapter{
		Name: name, Source: "platform_sdk.adapters." + name, Requirements: TextRequirements(requirements), Host: host,
		Describe: sync.OnceValue(func() *Description {
			d, err := ParseDescription([]byte(description))
			if err != nil { // the package's test reads it too: a program that was released has none
				return &Description{Name: name, Description: err.Error()}
			}
			return d
		}),
	}
}
