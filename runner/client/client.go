// Package client talks to a `runner serve`: one request at a time, errors with
// their codes, and patience with a server that restarts.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
)

// Client is a connection to a server.
type Client struct {
	base      string
	token     string
	tokenName string
	http      *http.Client
	// Patience is how long requests are tried again while the server cannot be
	// reached or is busy; 0 = 30 s.
	Patience time.Duration
}

// Is reports that a place is a server's address.
func Is(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

// Options say how a server is reached.
type Options struct {
	Token     string
	TokenName string // where the token comes from, for errors; "" = RUNNER_TOKEN
	// PublicOnly refuses to connect to this machine and to private networks:
	// the address comes from a stranger.
	PublicOnly bool
}

// New makes a client of the server at an address such as https://host:8443.
func New(address, token string) (*Client, error) {
	return Connect(address, Options{Token: token})
}

// Connect makes a client of the server at an address. It asks nothing yet.
func Connect(address string, o Options) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "%q is not the address of a server, as in https://host:8443", address)
	}
	if o.TokenName == "" {
		o.TokenName = "RUNNER_TOKEN"
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "the server's address is scheme, host and path only; its token comes from %s", o.TokenName)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}
	if o.PublicOnly {
		transport.Proxy, transport.DialContext = nil, publicDialer() // a proxy would connect where this machine must not
	}
	return &Client{base: strings.TrimRight(u.String(), "/"), token: o.Token, tokenName: o.TokenName, http: &http.Client{
		Timeout:   40 * time.Second,
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a token goes to no other place
		},
	}}, nil
}

// Address is the server's.
func (c *Client) Address() string { return c.base }

// Key makes a key for one request that must be done once.
func Key() string { return rand.Text() }

// Get reads a JSON answer into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out, true)
}

// Post sends a request that may be done twice without harm, or that carries a
// key by which the server knows it again; it is sent again when no answer came.
func (c *Client) Post(ctx context.Context, path, key string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, key, in, out, true)
}

// PostOnce sends a request that is not sent again.
func (c *Client) PostOnce(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, "", in, out, false)
}

func (c *Client) do(ctx context.Context, method, path, key string, in, out any, again bool) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("request to %s: %w", path, err)
		}
	}
	patience := c.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	deadline := time.Now().Add(patience)
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 3*time.Second) {
		err := c.once(ctx, method, path, key, body, out)
		if err == nil || !again || pipelines.CodeOf(err) != pipelines.CodeUnavailable || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(delay):
		}
	}
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

func (c *Client) once(ctx context.Context, method, path, key string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("request to %s: %w", path, err)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errNotPublic) {
			return pipelines.Errorf(pipelines.CodeInvalid, "%s: %w", c.base, err)
		}
		return pipelines.Errorf(pipelines.CodeUnavailable, "the server %s does not answer: %w", c.base, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return pipelines.Errorf(pipelines.CodeUnavailable, "the answer of %s broke off: %w", c.base, err)
	}
	if res.StatusCode/100 != 2 {
		return c.problem(res.StatusCode, path, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return pipelines.Errorf(pipelines.CodeInvalid, "%s%s answers what no runner serve does: %w", c.base, path, err)
	}
	return nil
}

// Problem is an error as the server tells it.
type Problem struct {
	Status      int             `json:"status"`
	Code        pipelines.Code  `json:"code"`
	Detail      string          `json:"detail"`
	Diagnostics json.RawMessage `json:"diagnostics"` // of a pipeline that was sent
}

func (p *Problem) Error() string { return p.Detail }

func (c *Client) problem(status int, path string, text []byte) error {
	p := &Problem{}
	if err := json.Unmarshal(text, p); err != nil || p.Code == "" {
		code := pipelines.CodeInvalid
		if status >= 500 {
			code = pipelines.CodeUnavailable
		}
		return pipelines.Errorf(code, "%s%s answers with status %d and no word of a runner serve; is the address right?", c.base, path, status)
	}
	p.Status = status
	switch p.Code {
	case "unauthenticated", "forbidden":
		return &pipelines.Error{Code: pipelines.CodeInvalid, Message: fmt.Sprintf("%s: %s (the token is taken from %s)", c.base, p.Detail, c.tokenName), Err: p}
	}
	return &pipelines.Error{Code: p.Code, Message: p.Detail, Err: p}
}
