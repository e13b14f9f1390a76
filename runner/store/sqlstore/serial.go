package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// Serial counts changes of a pipeline's state; 0 before the first.
func (s *Store) Serial(ctx context.Context, pipeline string) (int64, error) {
	var n int64
	err := s.row(ctx, `SELECT serial FROM serials WHERE pipeline = ?`, pipeline).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, s.fail("read the state serial of "+pipeline, err)
}

func bumpSerial(t tx, pipeline string) error {
	_, err := t.exec(`INSERT INTO serials (pipeline, serial) VALUES (?, 1)
		ON CONFLICT (pipeline) DO UPDATE SET serial = serials.serial + 1`, pipeline)
	return err
}
