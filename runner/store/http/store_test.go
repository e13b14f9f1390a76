package storehttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
	"github.com/trainwright/trainwright/runner/store/sqlite"
	"github.com/trainwright/trainwright/runner/store/storetest"
)

// TestStore runs the suite of stores over HTTP, in front of SQLite. The real
// server is asked in package cli's scripts.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		store, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "state.db"))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var call storehttp.Call
			if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
				t.Error(err)
			}
			out, err := storehttp.Serve(r.Context(), store, strings.TrimPrefix(r.URL.Path, "/api/v1/store/"), call)
			if err != nil {
				w.WriteHeader(http.StatusConflict)
				_ = json.NewEncoder(w).Encode(map[string]any{"code": pipelines.CodeOf(err), "detail": err.Error()})
				return
			}
			if err := json.NewEncoder(w).Encode(out); err != nil {
				t.Errorf("%s: %v", r.URL.Path, err)
			}
		}))
		t.Cleanup(func() { server.Close(); store.Close() })
		return func(t *testing.T) runner.Store {
			s, err := storehttp.Open(context.Background(), server.URL, "token")
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
