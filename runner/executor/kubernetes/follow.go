package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
)

// follower reads a pod's log as it is written. A connection that breaks is
// made again from the second of the last line on; lines that come twice are
// known by their event's number.
type follower struct {
	c         *cluster
	namespace string
	pod       string
	attempt   int
	out       chan<- pod.Line
	over      <-chan struct{} // the container has ended
	raw       bool            // every line is output
	connected atomic.Bool
	last      time.Time // of the newest line, by the node's clock
	at        time.Time // of the line at hand
}

// lastReads is how long the log of an ended container is asked for.
const lastReads = 10 * time.Second

// run returns once the log is read to its end, or can no longer be had: the
// spool has what is missing.
func (f *follower) run(ctx context.Context) {
	var giveUp time.Time
	for ctx.Err() == nil {
		ended := isClosed(f.over)
		if ended && giveUp.IsZero() {
			giveUp = time.Now().Add(lastReads)
		}
		whole, err := f.read(ctx, !ended)
		switch {
		case whole: // its last line was the exit
			return
		case ended && (err == nil || apierrors.IsNotFound(err) || fatal(err) || time.Now().After(giveUp)):
			return
		case apierrors.IsNotFound(err):
			return // the pod is gone, and its log with it
		}
		select {
		case <-ctx.Done():
		case <-f.over:
			runner.Sleep(ctx, 50*time.Millisecond)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// read reads what there is, and with follow what comes. whole says that the
// attempt's end was read.
func (f *follower) read(ctx context.Context, follow bool) (whole bool, err error) {
	seen := f.last
	opts := &corev1.PodLogOptions{Container: containerName, Follow: follow, Timestamps: true}
	if !f.last.IsZero() {
		since := metav1.NewTime(f.last.Truncate(time.Second))
		opts.SinceTime = &since
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := f.c.core.Pods(f.namespace).GetLogs(f.pod, opts).Stream(ctx)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	f.connected.Store(true)
	defer f.connected.Store(false)
	r := bufio.NewReaderSize(stream, 64<<10)
	for {
		line, err := readLine(r)
		cut := errors.Is(err, io.EOF)
		if cut && (!f.raw || follow || len(line) == 0) {
			return false, nil // without its newline it may be cut off
		}
		if err != nil && !cut {
			return false, err
		}
		text := f.stamp(line)
		got := pod.Line{Text: append(text, '\n')}
		if !f.raw {
			got = pod.ParseLine(text, f.attempt)
		}
		if got.Event == nil && got.Exit == nil && got.Text == nil || f.raw && !f.at.After(seen) {
			continue
		}
		select {
		case f.out <- got:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if got.Exit != nil {
			return true, nil
		}
	}
}

// stamp takes the time off a line.
func (f *follower) stamp(line []byte) []byte {
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return line
	}
	f.at = t
	if t.After(f.last) {
		f.last = t
	}
	return rest
}

// readLine reads a line without its newline; of one that is longer than any
// event only the beginning.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= spool.MaxLine+1024 {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimSuffix(line, []byte("\n")), err
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
