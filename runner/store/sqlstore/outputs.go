package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/trainwright/trainwright/runner"
)

// SetOutputs replaces a pipeline's outputs. The value of a sensitive output
// is not stored.
func (s *Store) SetOutputs(ctx context.Context, pipeline string, values map[string]runner.OutputValue) error {
	return s.write(ctx, "save outputs of "+pipeline, "outputs "+pipeline, func(t tx) error {
		if _, err := t.exec(`DELETE FROM outputs WHERE pipeline = ?`, pipeline); err != nil {
			return err
		}
		for name, v := range values {
			if v.Sensitive {
				v.Value = nil
			}
			body, err := json.Marshal(v)
			if err != nil {
				return fmt.Errorf("output %q: %w", name, err)
			}
			if _, err := t.exec(`INSERT INTO outputs (pipeline, name, body) VALUES (?,?,?)`, pipeline, name, string(body)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Outputs returns a pipeline's outputs by name.
func (s *Store) Outputs(ctx context.Context, pipeline string) (map[string]runner.OutputValue, error) {
	out := map[string]runner.OutputValue{}
	_, err := list(ctx, s, "read outputs of "+pipeline, func(rows *sql.Rows) (struct{}, error) {
		var name, body string
		var v runner.OutputValue
		err := rows.Scan(&name, &body)
		if err == nil {
			err = json.Unmarshal([]byte(body), &v)
		}
		out[name] = v
		return struct{}{}, err
	}, `SELECT name, body FROM outputs WHERE pipeline = ?`, pipeline)
	return out, err
}
