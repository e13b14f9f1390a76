package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"

	"github.com/trainwright/trainwright/pipelines"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs the migrations that the database lacks. Processes that open it
// at once take turns by a lock file, since the first ones change its tables.
func migrate(ctx context.Context, db *sql.DB, path string) (err error) {
	lock, err := os.OpenFile(path+".migrate", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("open state %s: %w", path, err)
	}
	defer lock.Close()
	for {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of state %s: %w", path, err)
	}
	if have > known {
		return pipelines.Errorf(pipelines.CodeInvalid,
			"the state %s has schema version %d, this runner knows versions up to %d: a newer runner has written it; use that version, or another --store", path, have, known)
	}
	if have == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring state %s from schema version %d to %d: %w", path, have, known, err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
}
