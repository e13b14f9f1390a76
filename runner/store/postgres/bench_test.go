package postgres

import (
	"testing"

	"github.com/trainwright/trainwright/internal/pgtest"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/store/storetest"
)

// BenchmarkStore runs with every commit synced, as servers are set up.
func BenchmarkStore(b *testing.B) {
	server := pgtest.Start(b, "fsync=on", "shared_buffers=256MB")
	storetest.Bench(b, func(b *testing.B) runner.Store {
		s, err := Open(b.Context(), server.Database(b))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close() })
		return s
	})
}
