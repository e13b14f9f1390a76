package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) runner.Store {
		s, err := Open(b.Context(), filepath.Join(b.TempDir(), "state.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close() })
		return s
	})
}
