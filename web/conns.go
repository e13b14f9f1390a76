package web

import (
	"net"
	"sync"
	"time"
)

// conns are the open connections. fasthttp ends those that answered a request
// when it stops, but waits for those that never sent one, as browsers open
// them ahead of need.
type conns struct {
	net.Listener
	mu   sync.Mutex
	open map[*conn]struct{}
}

type conn struct {
	net.Conn
	all *conns
}

func track(ln net.Listener) *conns { return &conns{Listener: ln, open: map[*conn]struct{}{}} }

// Accept tracks the connection until it is closed.
func (cs *conns) Accept() (net.Conn, error) {
	c, err := cs.Listener.Accept()
	if err != nil {
		return nil, err
	}
	out := &conn{c, cs}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open[out] = struct{}{}
	return out, nil
}

// Close closes the connection.
func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// hush ends all waiting for requests: first the reading of those that are on
// their way is given a moment. Answers that are being written go on.
func (cs *conns) hush(moment time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(moment)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		cs.mu.Lock()
		for c := range cs.open {
			_ = c.SetReadDeadline(time.Now()) // it may have been closed just now
		}
		cs.mu.Unlock()
	}
}
