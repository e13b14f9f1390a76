package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/trainwright/trainwright/runner"
)

// AcquireSlot leases the lowest free slot of a resource that has n. A slot
// whose holder is gone from this machine is free. Each call leases another
// slot, also for the same holder.
func (s *Store) AcquireSlot(ctx context.Context, resource string, n int, holder runner.LockHolder) (slot int, ok bool, err error) {
	err = s.write(ctx, "lease a slot of "+resource, "slots "+resource, func(t tx) error {
		slot, ok = 0, false
		taken, err := liveSlots(t, resource)
		if err != nil {
			return err
		}
		for slot = 0; slot < n && taken[slot]; slot++ {
		}
		if slot >= n {
			slot = 0
			return nil
		}
		body, err := json.Marshal(holder)
		if err != nil {
			return err
		}
		ok = true
		_, err = t.exec(`INSERT INTO slots (resource, slot, lock_id, holder) VALUES (?,?,?,?)
			ON CONFLICT (resource, slot) DO UPDATE SET lock_id = excluded.lock_id, holder = excluded.holder`, resource, slot, holder.ID, string(body))
		return err
	})
	return slot, ok && err == nil, err
}

func liveSlots(t tx, resource string) (map[int]bool, error) {
	rows, err := t.query(`SELECT slot, holder FROM slots WHERE resource = ?`, resource)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	taken := map[int]bool{}
	for rows.Next() {
		var slot int
		var body string
		var h runner.LockHolder
		if err := rows.Scan(&slot, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			return nil, err
		}
		taken[slot] = !runner.HolderGone(h)
	}
	return taken, rows.Err()
}

// ReleaseSlot gives a slot back. One that has passed to another holder is left alone.
func (s *Store) ReleaseSlot(ctx context.Context, resource string, slot int, lockID string) error {
	return s.write(ctx, "release a slot of "+resource, "slots "+resource, func(t tx) error {
		_, err := t.exec(`DELETE FROM slots WHERE resource = ? AND slot = ? AND lock_id = ?`, resource, slot, lockID)
		return err
	})
}
