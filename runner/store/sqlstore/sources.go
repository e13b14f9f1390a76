package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// Source tells whose sources a pipeline's state is of; "" before SetSource.
func (s *Store) Source(ctx context.Context, pipeline string) (string, error) {
	var source string
	err := s.row(ctx, `SELECT source FROM sources WHERE pipeline = ?`, pipeline).Scan(&source)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return source, s.fail("read the source of "+pipeline, err)
}

// SetSource replaces what Source tells.
func (s *Store) SetSource(ctx context.Context, pipeline, source string) error {
	return s.write(ctx, "file the source of "+pipeline, "source "+pipeline, func(t tx) error {
		_, err := t.exec(`INSERT INTO sources (pipeline, source) VALUES (?,?)
			ON CONFLICT (pipeline) DO UPDATE SET source = excluded.source`, pipeline, source)
		return err
	})
}
