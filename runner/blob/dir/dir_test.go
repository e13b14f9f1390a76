package dir_test

import (
	"testing"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/blob/blobtest"
	"github.com/trainwright/trainwright/runner/blob/dir"
)

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) runner.Blobs {
		b, err := dir.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}, "")
}
