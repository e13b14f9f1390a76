package python_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trainwright/trainwright/adapters/python"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSourceKey(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "my_adapter.py")
	write(t, source, "a = 1\n")
	write(t, filepath.Join(dir, "lib", "net.py"), "b = 1\n")
	write(t, filepath.Join(dir, "requirements.txt"), "torch==2.1\n")
	key := func() string {
		t.Helper()
		r, err := python.ReadRequirements(filepath.Join(dir, "requirements.txt"))
		if err != nil {
			t.Fatal(err)
		}
		k, err := python.SourceKey(source, r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key()
	for _, same := range []struct{ path, text string }{
		{"test_my_adapter.py", "tests"}, {"tests/more.py", "tests"}, {".venv/lib/x.py", "hidden"}, {"env/pyvenv.cfg", ""}, {"env/lib/x.py", "an environment"},
		{"notes.txt", "no Python"}, {"requirements.txt", "# comment\n\ntorch==2.1 # pinned\n"},
	} {
		write(t, filepath.Join(dir, same.path), same.text)
		if key() != first {
			t.Errorf("%s changes the key", same.path)
		}
	}
	for _, other := range []struct{ path, text string }{
		{"lib/net.py", "b = 2\n"}, {"lib/loss.py", "c = 1\n"}, {"my_adapter.py", "a = 2\n"}, {"requirements.txt", "torch==2.2\n"},
		{"requirements.txt", "-r base.txt\n"}, {"base.txt", "numpy==2\n"},
	} {
		if other.path == "requirements.txt" && other.text[0] == '-' {
			write(t, filepath.Join(dir, "base.txt"), "numpy==1\n")
		}
		before := key()
		write(t, filepath.Join(dir, other.path), other.text)
		if key() == before {
			t.Errorf("%s does not change the key", other.path)
		}
	}
}

func TestUnpinned(t *testing.T) {
	r := python.TextRequirements("torch==2.1\nnumpy>=1\n-r base.txt\n./wheels/x.whl\npillow # any\n")
	if got := r.Unpinned(); len(got) != 2 || got[0] != "numpy>=1" || got[1] != "pillow" {
		t.Errorf("unpinned: %q", got)
	}
}
