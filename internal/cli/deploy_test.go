package cli

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const top = "../.."

// accepts checks that the command line is one that this runner takes: the
// command is there, and so is every flag.
func accepts(t *testing.T, where string, args []string) {
	t.Helper()
	a := newApp(Config{Args: args, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	root := newRoot(a)
	c, rest, err := root.Find(args)
	if err != nil || c == root {
		t.Errorf("%s: runner %q: no such command (%v)", where, args, err)
		return
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%s: runner %q: %v", where, args, err)
	} else if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%s: runner %q: %v", where, args, err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// instruction is a line of a Dockerfile, its continuations joined.
type instruction struct{ word, rest string }

func instructions(text string) []instruction {
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var out []instruction
	for line := range strings.SplitSeq(text, "\n") {
		if word, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			out = append(out, instruction{word, strings.TrimSpace(rest)})
		}
	}
	return out
}

// TestDockerfile: what it copies is there, what it starts is a command line of
// this runner, and the image runs as nobody in particular and tells its health.
func TestDockerfile(t *testing.T) {
	stages, last := map[string]bool{}, map[string]string{}
	var entry, command []string
	for _, i := range instructions(read(t, "Dockerfile")) {
		last[i.word] = i.rest
		switch i.word {
		case "FROM":
			clear(last)
			if _, name, ok := strings.Cut(i.rest, " AS "); ok {
				stages[name] = true
			}
		case "COPY":
			fields := strings.Fields(i.rest)
			from := ""
			for strings.HasPrefix(fields[0], "--") {
				if name, ok := strings.CutPrefix(fields[0], "--from="); ok {
					from = name
				}
				fields = fields[1:]
			}
			if from != "" && !stages[from] {
				t.Errorf("COPY %s: there is no stage %q before it", i.rest, from)
			}
			for _, source := range fields[:len(fields)-1] {
				if _, err := os.Stat(filepath.Join(top, source)); from == "" && err != nil {
					t.Errorf("COPY %s: %v", i.rest, err)
				}
			}
		case "RUN":
			if _, line, ok := strings.Cut(i.rest, " runner "); ok && !strings.Contains(line, "&&") {
				accepts(t, "Dockerfile", strings.Fields(line))
			}
		case "ENTRYPOINT", "CMD":
			list := &entry
			if i.word == "CMD" {
				list = &command
			}
			if err := json.Unmarshal([]byte(i.rest), list); err != nil {
				t.Errorf("%s %s: %v", i.word, i.rest, err)
			}
		}
	}
	if !slices.Equal(entry, []string{"runner"}) {
		t.Errorf("ENTRYPOINT %q", entry)
	}
	accepts(t, "Dockerfile", command)
	if user := last["USER"]; user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("the image runs as %q", user)
	}
	if !strings.Contains(last["HEALTHCHECK"], "/healthz") {
		t.Errorf("HEALTHCHECK %s", last["HEALTHCHECK"])
	}
	if !strings.Contains(last["ENV"], "PORT=") {
		t.Error("without PORT the image serves only itself")
	}
}

// TestCompose: its variables are explained, what it builds and mounts is
// there, and services wait for services that are there.
func TestCompose(t *testing.T) {
	const name = "deploy/compose/compose.yaml"
	text := read(t, name)
	var file struct {
		Services map[string]struct {
			Build     string
			Volumes   []string
			DependsOn map[string]any `yaml:"depends_on"`
			Command   []string
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(text, "\nname:")
	for _, m := range regexp.MustCompile(`\$\{([A-Z0-9_]+)[:}]`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(head, m[1]+"=") {
			t.Errorf("how %s is set stands nowhere", m[1])
		}
	}
	for service, s := range file.Services {
		if s.Build != "" {
			if _, err := os.Stat(filepath.Join(top, filepath.Dir(name), s.Build, "Dockerfile")); err != nil {
				t.Error(err)
			}
		}
		if len(s.Command) > 0 && s.Build != "" {
			accepts(t, name, s.Command)
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, ok := file.Volumes[source]; !ok && !strings.HasPrefix(source, ".") {
				t.Errorf("%s mounts the volume %q, which is not declared", service, source)
			}
		}
		for other := range s.DependsOn {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s waits for %q", service, other)
			}
		}
	}
	if m := regexp.MustCompile(`compose exec runner runner (.*)`).FindStringSubmatch(head); m == nil {
		t.Error("how a pipeline is applied stands nowhere")
	} else {
		accepts(t, name, strings.Fields(m[1]))
	}
}

// TestUnit: systemd takes the unit, and the runner its command line.
func TestUnit(t *testing.T) {
	const name = "deploy/systemd/trainwright.service"
	text := read(t, name)
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/runner (.*)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no ExecStart")
	}
	accepts(t, name, strings.Fields(m[1]))
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is missing (Debian: systemd), so systemd was not asked")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "trainwright.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(text, "/usr/local/bin/runner", self)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(verify, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "trainwright.service:") {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// TestKubernetesCommand: the Deployment starts a command line of this runner.
func TestKubernetesCommand(t *testing.T) {
	const name = "deploy/kubernetes/server.yaml"
	m := regexp.MustCompile(`command: \[runner, (.*)\]`).FindStringSubmatch(read(t, name))
	if m == nil {
		t.Fatal("no command")
	}
	accepts(t, name, strings.Split(m[1], ", "))
}

// TestPort: a platform's PORT means the whole network, behind its proxy.
func TestPort(t *testing.T) {
	for _, c := range []struct {
		port, addr, cert string
		want             string
		proxy            bool
	}{
		{"", "", "", "127.0.0.1:8000", false},
		{"8080", "", "", "0.0.0.0:8080", true},
		{"8080", "127.0.0.1:9000", "", "127.0.0.1:9000", false},
		{"8080", "", "cert.pem", "0.0.0.0:8080", false}, // it ends TLS itself
	} {
		f := serveFlags{addr: "127.0.0.1:8000", cert: c.cert}
		if c.addr != "" {
			f.addr = c.addr
		}
		f.listenOn(c.port, c.addr != "")
		if f.addr != c.want || f.proxy != c.proxy {
			t.Errorf("%+v: %s, proxy %v", c, f.addr, f.proxy)
		}
	}
}
