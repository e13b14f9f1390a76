package cli_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFreePort is `freeport NAME`: an environment variable with an address of
// this machine that nobody serves on.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], ln.Addr().String())
	ts.Check(ln.Close())
}

// cmdHTTPGet is `httpget STATUS URL FILE [METHOD [HEADER:VALUE...] [@BODY]]`: it
// asks until the server listens, at most 20 s, wants that status and keeps the
// answer. POST sends the file BODY, or {}.
func cmdHTTPGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: httpget STATUS URL FILE [METHOD [HEADER:VALUE...]]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	method := http.MethodGet
	if len(args) > 3 {
		method = args[3]
	}
	payload := "{}"
	if last, ok := strings.CutPrefix(args[len(args)-1], "@"); ok && len(args) > 4 {
		payload, args = ts.ReadFile(last), args[:len(args)-1]
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(payload)
		}
		req, err := http.NewRequest(method, args[1], body)
		ts.Check(err)
		for _, h := range args[min(4, len(args)):] {
			name, value, _ := strings.Cut(h, ":")
			if name == "Host" {
				req.Host = value
				continue
			}
			req.Header.Set(name, value)
		}
		res, err := client.Do(req)
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		ts.Check(err)
		text, err := io.ReadAll(res.Body)
		ts.Check(err)
		ts.Check(res.Body.Close())
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
		if res.StatusCode != want {
			ts.Fatalf("%s %s: %d, want %d: %s", method, args[1], res.StatusCode, want, text)
		}
		return
	}
}
