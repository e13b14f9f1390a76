package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Version of this build, which the linker may set; content keys and results do not depend on it.
var Version = "0.1.0"

// languageVersion is what required_version is compared with: a build between
// releases fits every constraint.
func languageVersion() string {
	v := strings.TrimPrefix(Version, "v")
	if v == "" || v[0] < '0' || v[0] > '9' || !strings.Contains(v, ".") {
		return "dev"
	}
	return v
}

// versionInfo is what `runner version --json` writes.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a changed working tree
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCmd(a *app) *cobra.Command {
	return describe(&cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.show(v, func(w io.Writer) {
				fmt.Fprintf(w, "runner %s\n%s %s\n", v.Version, v.Go, v.Platform)
				if v.Commit != "" {
					fmt.Fprintf(w, "commit %s%s\n", v.Commit, map[bool]string{true: " (changed)"}[v.Modified])
				}
			})
		},
	}, "Shows the version of this program, the commit it was built from and its platform.")
}

func buildVersion() versionInfo {
	v := versionInfo{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}
