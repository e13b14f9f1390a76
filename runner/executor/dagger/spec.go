package dagger

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/dagger/relay"
)

// spec is container.json: what the client asks the engine for. It is plain
// data, holds no secrets, and the relay in the container reads it too.
type spec struct {
	relay.Spec
	Version int               `json:"v"`
	Kind    pipelines.Kind    `json:"kind"`
	Name    string            `json:"name"`             // the step's pipeline and address
	Image   string            `json:"image,omitempty"`  // as written: a reference or a folder
	Pinned  string            `json:"pinned,omitempty"` // the reference with the lock file's digest
	User    string            `json:"user"`
	Program string            `json:"program,omitempty"` // this program, to be put into the container
	Env     map[string]string `json:"env,omitempty"`
	Secrets []string          `json:"secrets,omitempty"` // names of environment variables
	GPUs    []string          `json:"gpus,omitempty"`    // device ids
	Folders []folder          `json:"folders,omitempty"`
	Volumes []volume          `json:"volumes,omitempty"`
	// Requirements are Python packages to install, as in a requirements file.
	Requirements string `json:"requirements,omitempty"`
	// CUDA is the version of ONNX Runtime to install with its CUDA libraries.
	CUDA string `json:"cuda,omitempty"`
	// PinnedTools is the image that installs them, as the lock file has it.
	PinnedTools string                 `json:"pinned_tools,omitempty"`
	Command     *pipelines.CommandSpec `json:"command,omitempty"` // kind step
}

// folder is a folder or file of this machine, mounted read-only at the same path.
type folder struct {
	Path    string   `json:"path"`
	Include []string `json:"include,omitempty"`
}

// volume is a cache volume.
type volume struct {
	Key string `json:"key"`
	At  string `json:"at"`
}

const specVersion = 1

// readSpec reads container.json and refuses one of another version.
func readSpec(path string) (spec, error) {
	var s spec
	ok, err := durable.ReadJSON(path, &s)
	if err == nil && !ok {
		err = fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return s, err
	}
	if s.Version != specVersion {
		return s, pipelines.Errorf(pipelines.CodeInvalid, "%s has version %d, this runner reads version %d; use the runner that wrote it", path, s.Version, specVersion)
	}
	return s, nil
}

// spec describes the container of a job.
func (e *Executor) spec(job runner.Job) (spec, error) {
	t := job.Task
	s := spec{
		Version: specVersion, Kind: t.Kind, Name: t.Pipeline + "/" + string(t.Address), Image: e.Config.Image, User: e.Config.User,
		Env: map[string]string{}, Secrets: slices.Sorted(maps.Keys(job.Secrets)),
		Spec: relay.Spec{Attempt: t.Attempt, RunDir: t.RunDir, AttemptDir: t.AttemptDir, Argv: job.Command.Argv, Dir: job.Command.Dir},
	}
	if s.User == "" {
		s.User = DefaultUser
	}
	maps.Copy(s.Env, job.Command.Env)
	maps.Copy(s.Env, job.Env)
	for _, n := range t.GPUs {
		s.GPUs = append(s.GPUs, strconv.Itoa(n))
	}
	if t.Kind == pipelines.KindStep {
		s.Command, s.Image = t.Command, t.Command.Image
		s.Pinned = job.Images[s.Image]
		return s, nil
	}
	if c := job.Container; c != nil {
		if s.Image == "" {
			s.Image = c.Base
		}
		s.Requirements = c.Requirements
		for _, p := range c.Folders {
			s.Folders = append(s.Folders, folder{Path: p})
		}
	}
	if s.Image == "" {
		s.Image = DefaultImage
	}
	s.Pinned = job.Images[s.Image]
	s.Program = e.Program
	s.Volumes = append(s.Volumes, volume{Key: "trainwright-run-" + t.RunID, At: filepath.Join(t.RunDir, "checkpoints")})
	if _, ok := s.Env["HOME"]; !ok {
		s.Env["HOME"] = "/tmp"
	}
	if err := e.addLibrary(&s, job); err != nil {
		return s, err
	}
	if err := s.addData(t); err != nil {
		return s, err
	}
	s.Folders = arrange(s.Folders)
	return s, nil
}

// arrange leaves out what lies in another whole folder, and repeats.
func arrange(folders []folder) []folder {
	slices.SortStableFunc(folders, func(a, b folder) int { return strings.Compare(a.Path, b.Path) })
	var out []folder
	for _, f := range folders {
		if !slices.ContainsFunc(out, func(o folder) bool { return len(o.Include) == 0 && within(f.Path, o.Path) }) {
			out = append(out, f)
		}
	}
	return out
}

// addLibrary gives ONNX Runtime to a step that this program runs itself.
func (e *Executor) addLibrary(s *spec, job runner.Job) error {
	if len(s.Argv) == 0 || s.Argv[0] != e.Program || e.Library == nil {
		return nil
	}
	if len(s.GPUs) > 0 {
		s.CUDA, s.PinnedTools = e.LibraryVersion, job.Images[toolsImage]
		return nil
	}
	path, err := e.Library()
	if err != nil {
		return fmt.Errorf("the step needs ONNX Runtime: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	s.Folders = append(s.Folders, folder{Path: filepath.Dir(path), Include: []string{"libonnxruntime*"}})
	s.Env["RUNNER_ORT_LIB"] = path
	return nil
}

// addData lists what the step reads besides its run's own folder.
func (s *spec) addData(t pipelines.Task) error {
	for _, p := range runner.Reads(t) {
		s.Folders = append(s.Folders, folder{Path: p})
	}
	if t.Dataset == nil {
		return nil
	}
	roots, size, err := runner.DataFolders(t.Dataset)
	if err != nil {
		return err
	}
	for i, root := range roots {
		if size <= largeData {
			s.Folders = append(s.Folders, folder{Path: root})
			continue
		}
		s.Pulls = append(s.Pulls, relay.Pull{Path: root, Key: t.Dataset.Fingerprint})
		s.Volumes = append(s.Volumes, volume{Key: fmt.Sprintf("trainwright-data-%s-%d", strings.TrimPrefix(t.Dataset.Fingerprint, "sha256:"), i), At: root})
	}
	return nil
}

func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
