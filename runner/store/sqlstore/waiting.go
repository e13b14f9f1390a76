package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// Waiting is what a store does while its server is away.
type Waiting struct {
	For  time.Duration    // how long it tries again; 0 = once more, at once
	Tell func(away error) // told at the first failure, and with nil when the server is back; may be nil
}

// Wait makes the store wait for a server that is away. It is called before
// the store is used. Filing events never waits: who files them keeps them.
func (s *Store) Wait(w Waiting) { s.waiting = w }

const (
	firstPause = 50 * time.Millisecond
	maxPause   = 2 * time.Second
	// settleFor is how long the outcome of a commit is asked for.
	settleFor = 10 * time.Minute
)

func (s *Store) away(err error) bool {
	return err != nil && s.dialect.Away != nil && s.dialect.Away(err)
}

// patiently runs fn, and again while the server is away: the first time at
// once, since a connection of the pool may be a dead one.
func (s *Store) patiently(ctx context.Context, w Waiting, fn func() error) error {
	err := fn()
	if !s.away(err) {
		return err
	}
	if err = fn(); !s.away(err) || w.For <= 0 {
		return err
	}
	if w.Tell != nil {
		w.Tell(err)
	}
	pause := firstPause
	for deadline := time.Now().Add(w.For); s.away(err) && time.Now().Before(deadline); pause = min(2*pause, maxPause) {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
		err = fn()
	}
	if w.Tell != nil && !s.away(err) {
		w.Tell(nil)
	}
	return err
}

// settle finds out what became of a transaction whose commit got no answer,
// so that nothing is written twice.
func (s *Store) settle(ctx context.Context, id string, lost error) error {
	var committed bool
	err := s.patiently(ctx, Waiting{For: settleFor}, func() (err error) {
		committed, err = s.dialect.Committed(ctx, s.db, id)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("the server went away during a commit, whose outcome is not known: %w", err)
	case committed:
		return nil
	}
	return lost // nothing was written: it may be tried again
}
