package pod

import (
	"bytes"
	"encoding/json"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
)

// Marks of lines in a pod's log that are no output of the step. A line of
// output that begins with one of them is printed behind a space.
const (
	eventMark = "trainwright.event "
	exitMark  = "trainwright.exit "
)

// Line is what a line of a pod's log says: an event, how the attempt ended,
// or, with neither, output of the step.
type Line struct {
	Event *pipelines.Event
	Exit  *runner.Exit
	Text  []byte // output, with its newline, where nothing else keeps it
}

// ParseLine reads a line of a pod's log, without its newline. A line that was
// cut off counts as output; the spool has what it said.
func ParseLine(b []byte, attempt int) Line {
	if rest, ok := bytes.CutPrefix(b, []byte(eventMark)); ok {
		if e, err := spool.Parse(rest, attempt); err == nil {
			return Line{Event: &e}
		}
	}
	if rest, ok := bytes.CutPrefix(b, []byte(exitMark)); ok {
		var x runner.Exit
		if json.Unmarshal(rest, &x) == nil {
			return Line{Exit: &x}
		}
	}
	return Line{}
}

// isMarked says whether output would be taken for something else.
func isMarked(b []byte) bool {
	return bytes.HasPrefix(b, []byte(eventMark)) || bytes.HasPrefix(b, []byte(exitMark))
}
