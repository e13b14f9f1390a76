package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// Numbered writes the question marks of a query as $1, $2, …
func Numbered(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, rest, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = rest
	}
}

// remembered keeps what rebind made; the store's queries are few.
func remembered(rebind func(string) string) func(string) string {
	var done sync.Map
	return func(query string) string {
		if q, ok := done.Load(query); ok {
			return q.(string)
		}
		q := rebind(query)
		done.Store(query, q)
		return q
	}
}

// rowsAtOnce are the numbers of rows that one statement inserts: few
// statements for any number of rows, and few forms that a database prepares.
var rowsAtOnce = []int{1000, 500, 100, 20, 4, 1}

// insert inserts rows, several in a statement, and reads what it returns.
// into is the table with its columns; suffix follows the values.
func (t tx) insert(into string, rows [][]any, suffix string, scan func(*sql.Rows) error) error {
	for _, n := range rowsAtOnce {
		for len(rows) >= n {
			args := make([]any, 0, n*len(rows[0]))
			for _, row := range rows[:n] {
				args = append(args, row...)
			}
			rows = rows[n:]
			query := `INSERT INTO ` + into + ` VALUES ` + tuples(n, "("+marks(len(args)/n)+")") + ` ` + suffix
			if scan == nil {
				if _, err := t.exec(query, args...); err != nil {
					return err
				}
				continue
			}
			if err := t.each(query, args, scan); err != nil {
				return err
			}
		}
	}
	return nil
}

// forms hands ids on many at a time, in numbers that few forms of a query
// hold: what is missing of one is made up with the last id.
func forms(ids []string, do func(ids []any) error) error {
	for len(ids) > 0 {
		now := ids[:min(len(ids), rowsAtOnce[0])]
		ids = ids[len(now):]
		n := rowsAtOnce[0]
		for _, form := range rowsAtOnce {
			if form >= len(now) {
				n = form
			}
		}
		args := make([]any, n)
		for i := range args {
			args[i] = now[min(i, len(now)-1)]
		}
		if err := do(args); err != nil {
			return err
		}
	}
	return nil
}

// each scans every row of a query.
func (t tx) each(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := t.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func tuples(n int, tuple string) string { return strings.TrimSuffix(strings.Repeat(tuple+",", n), ",") }

// row is a row that will be read outside a transaction.
type row struct {
	s     *Store
	ctx   context.Context
	query string
	args  []any
}

func (s *Store) row(ctx context.Context, query string, args ...any) row {
	return row{s, ctx, s.dialect.Rebind(query), plain(args)}
}

// Scan reads it; sql.ErrNoRows where there is none.
func (r row) Scan(dest ...any) error {
	return r.s.patiently(r.ctx, r.s.waiting, func() error { return r.s.db.QueryRowContext(r.ctx, r.query, r.args...).Scan(dest...) })
}
