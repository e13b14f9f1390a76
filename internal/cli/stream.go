package cli

import (
	"bytes"
	"io"

	"github.com/trainwright/trainwright/runner"
)

// streamVersion is the first line of a JSON-lines stream. Readers ignore
// types and fields that they do not know and refuse another version.
type streamVersion struct {
	Type   string `json:"type"` // version
	V      int    `json:"v"`
	Runner string `json:"runner"`
}

// startStream makes the output of this command a JSON-lines stream where JSON
// is asked for. Repeated calls write the version once.
func (a *app) startStream() {
	if a.streamed {
		return
	}
	a.streamed = true
	if err := a.writeLine(streamVersion{"version", runner.NoticeVersion, Version}); err != nil {
		a.log.Error("writing JSON", "error", err)
	}
}

// printText writes what text makes to standard output in one piece.
func (a *app) printText(text func(io.Writer)) error {
	var b bytes.Buffer
	text(&b)
	_, err := a.Stdout.Write(b.Bytes())
	return err
}
