package cli

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/local"
	"github.com/trainwright/trainwright/runner/executor/remote/host"
	"github.com/trainwright/trainwright/web/submit"
)

// newHost makes what runs steps of other machines on this one, until ctx ends.
// They share its slots with what it is handed itself.
func (a *app) newHost(ctx context.Context, store runner.Store, place storePlace, policy submit.Policy, log *slog.Logger) *host.Host {
	cache := filepath.Join(place.dir, "cache", "datasets.gob")
	if dir, err := userCache(); err == nil {
		cache = filepath.Join(dir, "datasets.gob")
	}
	room := a.watcher(store, place)
	room.GPUs, room.HostGPUs = countGPUs(), hostGPUs()
	return host.New(ctx, host.Config{
		Dir: servedDir(place.dir), Executor: &local.Executor{Environ: workEnviron(a.Env)}, Adapters: a.Adapters, Datasets: submittedData(cache),
		Place: policy.Place, Root: policy.DataRoot, Env: policy.Env, Slot: room.Slot, Log: log,
	})
}

// servedDir is where the files of other machines' steps are, in the state's folder.
func servedDir(stateDir string) string { return filepath.Join(stateDir, "remote") }
