package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// caller asks Home. Nothing waits for ever: a small request has a deadline,
// and a transfer ends when nothing moves.
type caller struct {
	http  http.Client
	token string
}

func newCaller(socket, token string) *caller {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: callTimeout}
		return d.DialContext(ctx, "unix", socket)
	}
	return &caller{token: token, http: http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4}}}
}

func (c *caller) request(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	u := "http://home" + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, strings.TrimSpace(string(text)))
	}
	return res, nil
}

// small is a request whose body and answer are small.
func (c *caller) small(ctx context.Context, method, path string, q url.Values, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.request(ctx, method, path, q, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}

// send streams what write produces.
func (c *caller) send(ctx context.Context, path string, q url.Values, write func(io.Writer) error) error {
	ctx, moved, cancel := watched(ctx)
	defer cancel()
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(write(&movingWriter{w, moved})) }()
	res, err := c.request(ctx, http.MethodPut, path, q, r)
	_ = r.Close()
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// fetch streams a file into w and returns how many bytes there were.
func (c *caller) fetch(ctx context.Context, q url.Values, w io.Writer) (int64, error) {
	ctx, moved, cancel := watched(ctx)
	defer cancel()
	res, err := c.request(ctx, http.MethodGet, "/v1/file", q, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(&movingWriter{w, moved}, res.Body)
}

// watched returns a context that ends when moved was not called for idleTimeout.
func watched(ctx context.Context) (context.Context, func(), context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing moved for %s", idleTimeout)) })
	return ctx, func() { t.Reset(idleTimeout) }, func() { t.Stop(); cancel(nil) }
}

type movingWriter struct {
	w     io.Writer
	moved func()
}

func (m *movingWriter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.moved()
	return n, err
}
