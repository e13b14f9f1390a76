package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/spool"
)

type logsInput struct {
	RunPath
	Attempt  int   `query:"attempt" minimum:"0" doc:"whose output; 0 = the newest"`
	Offset   int64 `query:"offset" minimum:"-1" default:"-1" doc:"bytes of output to skip; -1 = the last limit bytes"`
	Limit    int   `query:"limit" minimum:"1" maximum:"1048576" default:"65536" doc:"bytes of output"`
	Messages int   `query:"messages" minimum:"1" maximum:"1000" default:"200" doc:"newest messages"`
}

type logsOutput struct{ Body Logs }

// Logs is what a run said.
type Logs struct {
	RunID    string    `json:"run_id"`
	Messages []Message `json:"messages" nullable:"false" doc:"of all attempts, oldest first"`
	Output   Output    `json:"output" doc:"what the process printed"`
}

// Message is a line that a step reported for people.
type Message struct {
	Time    time.Time `json:"time"`
	Attempt int       `json:"attempt"`
	Level   string    `json:"level"`
	Text    string    `json:"text"`
}

// Output is a part of an attempt's standard output and error.
type Output struct {
	Attempt int    `json:"attempt" doc:"0 = there is none yet"`
	Offset  int64  `json:"offset"`
	Next    int64  `json:"next_offset" doc:"where to go on reading"`
	Size    int64  `json:"size" doc:"of all of it now"`
	Text    string `json:"text"`
}

func (s *Server) logs(ctx context.Context, in *logsInput) (*logsOutput, error) {
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Store.Messages(ctx, run.ID, in.Messages)
	if err != nil {
		return nil, err
	}
	out := Logs{RunID: run.ID, Messages: []Message{}}
	for _, m := range rows {
		out.Messages = append(out.Messages, Message{Time: m.Time, Attempt: m.Attempt, Level: m.Message.Level, Text: m.Message.Text})
	}
	attempts, err := s.cfg.Store.Attempts(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		if a.Number == in.Attempt || in.Attempt == 0 && a.Number > out.Output.Attempt {
			out.Output.Attempt = a.Number
			if err := readOutput(a.Dir, in.Offset, in.Limit, &out.Output); err != nil {
				return nil, fmt.Errorf("output of attempt %d of run %s: %w", a.Number, run.ID, err)
			}
		}
	}
	if in.Attempt != 0 && out.Output.Attempt == 0 {
		return nil, pipelines.Errorf(pipelines.CodeNotFound, "run %s has no attempt %d", run.ID, in.Attempt)
	}
	return &logsOutput{Body: out}, nil
}

// readOutput reads a part of the output in an attempt's folder. The step wrote
// that folder: what it put there instead of a file (a link out of the folder,
// a pipe) is not followed.
func readOutput(dir string, offset int64, limit int, out *Output) error {
	out.Offset, out.Next, out.Size, out.Text = max(offset, 0), max(offset, 0), 0, ""
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // collected, or on another machine
	} else if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.OpenFile(spool.LogFile, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	out.Size = info.Size()
	if offset < 0 {
		offset = max(0, out.Size-int64(limit))
	}
	text := make([]byte, limit)
	n, err := f.ReadAt(text, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	out.Offset, out.Next = offset, offset+int64(n)
	out.Text = strings.ToValidUTF8(string(text[:n]), "\uFFFD")
	return nil
}
