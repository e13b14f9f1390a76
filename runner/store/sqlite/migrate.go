package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"

	"github.com/trainwright/trainwright/runner/store/sqlstore"
)

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
	return sqlstore.Migrate(ctx, p, path)
}

func provider(db *sql.DB) (*goose.Provider, error) {
	return goose.NewProvider(goose.DialectSQLite3, db, sqlstore.Migrations(), goose.WithDisableGlobalRegistry(true))
}
