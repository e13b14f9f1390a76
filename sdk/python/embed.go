// Package platformsdk carries the Python package platform_sdk inside this
// program, so that a Python adapter needs nothing of this repository on the
// machine where it trains.
package platformsdk

import (
	"embed"
	"regexp"
)

// Files is the package's source, below platform_sdk/.
//
//go:embed platform_sdk/*.py platform_sdk/py.typed platform_sdk/adapters/*.py
var Files embed.FS

// Requirements is what the SDK itself needs, as a requirements file.
//
//go:embed requirements.txt
var Requirements string

var version = regexp.MustCompile(`(?m)^__version__ = "([^"]+)"`)

// Version is platform_sdk.__version__.
func Version() string {
	text, err := Files.ReadFile("platform_sdk/__init__.py")
	if err != nil {
		return ""
	}
	if m := version.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}
