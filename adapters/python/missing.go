package python

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
)

// missing are the words in which pip and uv name the package that they cannot find.
var missing = []*regexp.Regexp{
	regexp.MustCompile(`No matching distribution found for ([^\s(]+)`),
	regexp.MustCompile(`Could not find a version that satisfies the requirement ([^\s(]+)`),
	regexp.MustCompile(`(?s)Because ([A-Za-z0-9._-]+) was not found`),
	regexp.MustCompile(`(?s)Because there is no version of\s+([A-Za-z0-9._=<>!~-]+)`),
	regexp.MustCompile(`(?s)no\s+versions?\s+of\s+([A-Za-z0-9._=<>!~-]+)`),
}

// notInstalled says which package is missing, and where it was looked for.
func (e Environment) notInstalled(out string, err error, o adapters.PrepareOptions) error {
	what := "its packages could not be installed"
	for _, pattern := range missing {
		if m := pattern.FindStringSubmatch(out); m != nil {
			what = fmt.Sprintf("package %s is not there", strings.TrimRight(m[1], ".,"))
			break
		}
	}
	from := e.Requirements.Path
	if from == "" {
		from = "the adapter's own list"
	}
	where := "the package index"
	if o.Offline {
		where = "no wheel folder (name one with --find-links)"
		if len(o.Wheels) > 0 {
			where = strings.Join(o.Wheels, ", ")
		}
	}
	return pipelines.Errorf(pipelines.CodeUnavailable, "the Python environment of adapter %q: %s (asked for by %s, looked for in %s): %w\n%s",
		e.Adapter, what, from, where, err, lastLines(out, 10))
}
