package dagger

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/executor/dagger/relay"
)

// builder turns a spec into a container.
type builder struct {
	client  *sdk.Client
	spec    spec
	secrets map[string]string
	images  map[string]string // references in use -> with their digest
}

// base is the container's file system: a folder or a saved image of this
// machine, or an image of a registry, the one that is pinned if one is.
func (b *builder) base(ctx context.Context, image, pinned string) (*sdk.Container, error) {
	if filepath.IsAbs(image) {
		info, err := os.Stat(image)
		if err != nil {
			return nil, pipelines.Errorf(pipelines.CodeNotFound, "the image is no folder or archive of this machine: %w", err)
		}
		if !info.IsDir() {
			return b.client.Container().Import(b.client.Host().File(image)), nil
		}
		return b.client.Container().WithRootfs(b.client.Host().Directory(image)), nil
	}
	if pinned != "" {
		b.images[image] = pinned
		return b.client.Container().From(pinned), nil
	}
	c := b.client.Container().From(image)
	ref, err := c.ImageRef(ctx)
	if err != nil {
		return nil, err
	}
	b.images[image] = ref
	return c, nil
}

// step is the container of a training, evaluation or export. Nothing of it is
// ever answered from a cache: its attempt number is in its environment.
func (b *builder) step(ctx context.Context, specPath, socket, token string) (*sdk.Container, error) {
	s, host := b.spec, b.client.Host()
	c, err := b.base(ctx, s.Image, s.Pinned)
	if err != nil {
		return nil, err
	}
	if s.CUDA != "" {
		if c, err = b.withCUDA(ctx, c); err != nil {
			return nil, err
		}
	}
	if s.Requirements != "" {
		c = b.withPackages(c)
	}
	if s.usesRootHome() {
		c = c.WithMountedDirectory(rootHome, b.client.Directory())
	}
	c = c.WithMountedFile(s.Program, host.File(s.Program))
	for _, f := range s.Folders {
		c = b.withFolder(c, f)
	}
	attempt := path.Join("attempts", filepath.Base(s.AttemptDir))
	run := host.Directory(s.RunDir, sdk.HostDirectoryOpts{NoCache: true,
		Include: []string{attempt + "/task.json", attempt + "/dataset.json", attempt + "/" + specFile, "artifacts/**"}})
	c = c.WithMountedDirectory(s.RunDir, run, sdk.ContainerWithMountedDirectoryOpts{Owner: s.User})
	for _, v := range s.Volumes {
		c = c.WithMountedCache(v.At, b.client.CacheVolume(v.Key), sdk.ContainerWithMountedCacheOpts{Owner: s.User})
	}
	c = c.WithUnixSocket(relay.SocketPath, host.UnixSocket(socket), sdk.ContainerWithUnixSocketOpts{Owner: s.User})
	c = b.withEnvironment(c)
	c = c.WithEnvVariable("RUNNER_ATTEMPT", s.RunID()+"/"+filepath.Base(s.AttemptDir)).
		WithSecretVariable(relay.EnvToken, b.client.SetSecret("trainwright-"+s.RunID()+"-"+filepath.Base(s.AttemptDir), token))
	if len(s.GPUs) > 0 {
		c = c.ExperimentalWithGPU(s.GPUs)
	}
	return c.WithUser(s.User).WithExec([]string{s.Program, "relay", specPath}, sdk.ContainerWithExecOpts{Expect: sdk.ReturnTypeAny}), nil
}

// rootHome is closed to everybody else in most images, and so would be what is
// mounted below it.
const rootHome = "/root"

// usesRootHome reports that a step which is not root has files below rootHome,
// as it has where this program is run by root.
func (s spec) usesRootHome() bool {
	user, _, _ := strings.Cut(s.User, ":")
	paths := []string{s.Program, s.RunDir}
	for _, f := range s.Folders {
		paths = append(paths, f.Path)
	}
	for _, v := range s.Volumes {
		paths = append(paths, v.At)
	}
	return user != "0" && user != "root" && slices.ContainsFunc(paths, func(p string) bool { return within(p, rootHome) })
}

// RunID is the name of the run's folder.
func (s spec) RunID() string { return filepath.Base(s.RunDir) }

func (b *builder) withFolder(c *sdk.Container, f folder) *sdk.Container {
	host := b.client.Host()
	if info, err := os.Stat(f.Path); err == nil && !info.IsDir() {
		return c.WithMountedFile(f.Path, host.File(f.Path))
	}
	real, err := filepath.EvalSymlinks(f.Path) // "latest" is a link
	if err != nil {
		real = f.Path
	}
	return c.WithMountedDirectory(f.Path, host.Directory(real, sdk.HostDirectoryOpts{Include: f.Include}), sdk.ContainerWithMountedDirectoryOpts{ReadOnly: true})
}

// withEnvironment sets what the step is given. Names are sorted, so that the
// same step asks for the same container.
func (b *builder) withEnvironment(c *sdk.Container) *sdk.Container {
	names := make([]string, 0, len(b.spec.Env))
	for name := range b.spec.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c = c.WithEnvVariable(name, b.spec.Env[name])
	}
	for _, name := range b.spec.Secrets {
		// The engine caches by a secret's name and not by its value.
		c = c.WithSecretVariable(name, b.client.SetSecret(b.spec.Name+"/"+name, b.secrets[name]))
	}
	return c
}

// withPackages installs Python packages for the container's own python3. The
// engine's cache answers while base and packages are the same.
func (b *builder) withPackages(c *sdk.Container) *sdk.Container {
	const file = "/tmp/requirements.txt"
	dir := c.WithUser("0").
		WithMountedCache("/root/.cache/pip", b.client.CacheVolume("trainwright-pip")).
		WithNewFile(file, b.spec.Requirements).
		WithExec([]string{"python3", "-m", "pip", "install", "--target", adapters.PackagesDir, "-r", file}).
		Directory(adapters.PackagesDir)
	return c.WithMountedDirectory(adapters.PackagesDir, dir, sdk.ContainerWithMountedDirectoryOpts{ReadOnly: true})
}

const (
	cudaDir    = "/opt/trainwright/ort"
	libraryEnv = "RUNNER_ORT_LIB"
)

// withCUDA installs ONNX Runtime with its CUDA provider and the CUDA libraries
// that it needs, unless the image says that it brings them.
func (b *builder) withCUDA(ctx context.Context, c *sdk.Container) (*sdk.Container, error) {
	own, err := c.EnvVariable(ctx, libraryEnv)
	if err != nil || own != "" {
		return c, err
	}
	version := b.spec.CUDA
	tools, err := b.base(ctx, toolsImage, b.spec.PinnedTools)
	if err != nil {
		return nil, err
	}
	dir := tools.
		WithMountedCache("/root/.cache/pip", b.client.CacheVolume("trainwright-pip")).
		WithExec([]string{"pip", "install", "--target", cudaDir, "onnxruntime-gpu[cuda,cudnn]==" + version}).
		Directory(cudaDir)
	libs := []string{cudaDir + "/nvidia/cu13/lib"}
	for _, part := range []string{"cublas", "cuda_nvrtc", "cuda_runtime", "cudnn", "cufft", "curand", "nvjitlink"} {
		libs = append(libs, cudaDir+"/nvidia/"+part+"/lib")
	}
	return c.WithMountedDirectory(cudaDir, dir, sdk.ContainerWithMountedDirectoryOpts{ReadOnly: true}).
		WithEnvVariable(libraryEnv, cudaDir+"/onnxruntime/capi/libonnxruntime.so."+version).
		WithEnvVariable("LD_LIBRARY_PATH", strings.Join(libs, ":")), nil
}
