package runner_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/trainwright/trainwright/runner"
)

// Whatever names there are: what is written is read back.
func TestLockFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.MapOf(rapid.String(), rapid.StringMatching(`sha256:[0-9a-f]{8}`))
		lock := runner.LockFile{Datasets: names.Draw(rt, "datasets"), Weights: names.Draw(rt, "weights"), Adapters: map[string]runner.AdapterPin{}, Images: map[string]string{}}
		for name, hash := range names.Draw(rt, "images") {
			lock.Images[name] = name + "@" + hash
		}
		for name, hash := range names.Draw(rt, "adapters") {
			lock.Adapters[name] = runner.AdapterPin{Version: name, Numerics: len(hash), Lock: hash}
		}
		if err := os.WriteFile(filepath.Join(dir, runner.LockFileName), lock.Format(), 0o644); err != nil {
			rt.Fatal(err)
		}
		back, _, err := runner.ReadLockFile(dir)
		if err != nil || !reflect.DeepEqual(back, lock) {
			rt.Fatalf("read back %+v (%v), wrote %+v", back, err, lock)
		}
	})
}
