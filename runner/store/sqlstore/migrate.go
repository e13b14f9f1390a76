package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/trainwright/trainwright/pipelines"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema's history, one file a version, written for SQLite.
// Package postgres translates it, word by word: keep to the types TEXT,
// INTEGER, REAL and BLOB. What stands between the lines "-- only SQLite …" and
// "-- end" is left out there.
func Migrations() fs.FS {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return dir
}

// Migrate runs the migrations that a database lacks; where names it in
// messages. The caller keeps other processes from doing the same meanwhile.
func Migrate(ctx context.Context, p *goose.Provider, where string) error {
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of state %s: %w", where, err)
	}
	if have > known {
		return pipelines.Errorf(pipelines.CodeInvalid,
			"the state %s has schema version %d, this runner knows versions up to %d: a newer runner has written it; use that version, or another --store", where, have, known)
	}
	if have == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring state %s from schema version %d to %d: %w", where, have, known, err)
	}
	return nil
}
