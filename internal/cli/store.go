package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
	"github.com/trainwright/trainwright/runner/store/postgres"
	"github.com/trainwright/trainwright/runner/store/sqlite"
	"github.com/trainwright/trainwright/runner/store/sqlstore"
)

// stateDir is where a pipeline's state lies beside its sources.
const stateDir = ".runner"

// storeFlags say where the state is.
type storeFlags struct{ store string }

func (f *storeFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.store, "store", "", "the state: the `PATH` of a SQLite file, postgres://…, or the URL of a runner serve with its token in RUNNER_TOKEN (default .runner/state.db beside the pipeline; RUNNER_STORE does the same)")
}

// storePlace is where state lies: the database, and the folder of run folders.
type storePlace struct {
	path    string // the SQLite file, or the database's address without its password
	dir     string
	address string // of a PostgreSQL database, with its password; or of a server. Never shown
	token   string // for the server
}

// remote reports state that is not in a file here.
func (p storePlace) remote() bool { return p.address != "" }

// exists reports that there may be state: a file that is not there holds none.
func (p storePlace) exists() bool {
	if p.remote() {
		return true
	}
	_, err := os.Stat(p.path)
	return err == nil
}

// storePlace decides by --store, RUNNER_STORE, pipeline { store } and the default, in this order.
func (a *app) storePlace(pipelineDir, configured string, f storeFlags) (storePlace, error) {
	name := f.store
	if name == "" {
		name = a.env["RUNNER_STORE"]
	}
	if name != "" && !strings.Contains(name, "://") {
		name = a.path(name)
	} else if name == "" {
		if name = configured; name != "" && !filepath.IsAbs(name) && !strings.Contains(name, "://") {
			name = filepath.Join(pipelineDir, name)
		}
	}
	dir, err := filepath.Abs(filepath.Join(pipelineDir, stateDir))
	if err != nil {
		return storePlace{}, err
	}
	if postgres.Is(name) {
		if password := postgres.Password(name); password != "" {
			a.redactor.add(password, 1)
		}
		return storePlace{path: postgres.Redact(name), dir: dir, address: name}, nil
	}
	if client.Is(name) {
		token := a.env["RUNNER_TOKEN"]
		a.redactor.add(token, 1)
		return storePlace{path: name, dir: dir, address: name, token: token}, nil
	}
	if strings.Contains(name, "://") {
		scheme, _, _ := strings.Cut(name, "://")
		return storePlace{}, pipelines.Errorf(pipelines.CodeUnavailable, "a store at %s:// is not available in this version; name a SQLite file, a PostgreSQL database (postgres://…) or a runner serve (https://…)", scheme)
	}
	if name == "" {
		name = filepath.Join(dir, "state.db")
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return storePlace{}, err
	}
	return storePlace{path: path, dir: filepath.Dir(path)}, nil
}

// open opens the store, and makes it where there is none.
func (p storePlace) open(ctx context.Context) (runner.Store, error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, fmt.Errorf("the state cannot be kept in %s; --store names another place: %w", p.dir, err)
	}
	if filepath.Base(p.dir) == stateDir {
		ignore := filepath.Join(p.dir, ".gitignore")
		if _, err := os.Lstat(ignore); errors.Is(err, fs.ErrNotExist) {
			if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
				return nil, fmt.Errorf("the state cannot be kept in %s; --store names another place: %w", p.dir, err)
			}
		}
	}
	if client.Is(p.address) {
		return storehttp.Open(ctx, p.address, p.token)
	}
	if p.remote() {
		return postgres.Open(ctx, p.address)
	}
	return sqlite.Open(ctx, p.path)
}

// storePatience is how long an apply waits for a database that went away.
const storePatience = 15 * time.Minute

// openPatient is open for an apply: a database that goes away later is waited
// for, which is logged. One that is away now is an error.
func (p storePlace) openPatient(ctx context.Context, log *slog.Logger) (runner.Store, error) {
	store, err := p.open(ctx)
	if s, ok := store.(*sqlstore.Store); ok && err == nil {
		s.Wait(sqlstore.Waiting{For: storePatience, Tell: func(away error) {
			if away != nil {
				log.Warn("the store is away; steps go on, and it is tried again", "store", p.path, "error", away)
			} else {
				log.Warn("the store is back", "store", p.path)
			}
		}})
	}
	return store, err
}

// openOf opens the store of the pipeline at dir, of which no value needs to be known.
func (a *app) openOf(ctx context.Context, dir string, pf pipelineFlags, sf storeFlags) (*pipelines.Pipeline, runner.Store, error) {
	opts := a.options(pf)
	opts.Validate = true
	p, _, err := a.load(ctx, a.path(dir), opts)
	if err != nil {
		return nil, nil, err
	}
	place, err := a.storePlace(p.Dir, p.Store, sf)
	if err != nil {
		return nil, nil, err
	}
	store, err := place.open(ctx)
	return p, store, err
}

// openExisting opens the store of a pipeline for reading what was run; it makes none.
func (a *app) openExisting(ctx context.Context, path string, f storeFlags) (runner.Store, storePlace, error) {
	dir := path
	if info, err := os.Stat(path); err != nil {
		return nil, storePlace{}, usagef("%w", err)
	} else if !info.IsDir() {
		dir = filepath.Dir(path)
	}
	place, err := a.storePlace(dir, "", f)
	if err != nil {
		return nil, place, err
	}
	if !place.exists() && f.store == "" && a.env["RUNNER_STORE"] == "" {
		opts := a.options(pipelineFlags{})
		opts.Validate = true
		if p, _, lerr := a.load(ctx, path, opts); lerr == nil && p.Store != "" {
			if place, err = a.storePlace(p.Dir, p.Store, f); err != nil {
				return nil, place, err
			}
		}
	}
	if !place.exists() {
		return nil, place, pipelines.Errorf(pipelines.CodeNotFound, "there is no state at %s: nothing was applied here yet. Name the pipeline's folder, or the state with --store", place.path)
	}
	store, err := place.open(ctx)
	return store, place, err
}

// name is the place as --store takes it.
func (p storePlace) name() string { return cmp.Or(p.address, p.path) }
