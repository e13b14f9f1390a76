package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Scope is what a token may do. Admin includes write, and write includes read.
type Scope = runner.Role

const (
	ScopeAdmin = runner.RoleAdmin
	ScopeWrite = runner.RoleWrite
	ScopeRead  = runner.RoleRead
	ScopeRun   = runner.RoleRunStatus // reads one run
	// ScopeReport sends events of one run.
	ScopeReport = runner.RoleRunReport
)

// Token is a token as it is remembered: never itself, only its hash.
type Token struct {
	ID      string    `json:"id"` // for the log
	Scope   Scope     `json:"scope"`
	SHA256  string    `json:"sha256"` // of the token, hex
	RunID   string    `json:"run_id,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// Tokens are those that a server takes.
type Tokens []Token

// minToken is the shortest token taken from the user, in bytes.
const minToken = 16

// NewToken makes a random token of 32 bytes; it is returned in the clear this once.
func NewToken(id string, scope Scope, now time.Time) (Token, string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	secret := "trw_" + base64.RawURLEncoding.EncodeToString(b[:])
	t, _ := GivenToken(id, scope, secret) // long enough
	t.Created = now.UTC()
	return t, secret
}

// GivenToken is a token that the user chose.
func GivenToken(id string, scope Scope, secret string) (Token, error) {
	if len(secret) < minToken {
		return Token{}, pipelines.Errorf(pipelines.CodeInvalid, "the token %s has %d characters; %d at least, and random: `openssl rand -hex 32` makes one", id, len(secret), minToken)
	}
	return Token{ID: id, Scope: scope, SHA256: hashOf(secret)}, nil
}

// find returns the token with that secret, in a time that does not tell how
// near a wrong one was.
func (ts Tokens) find(secret string) (Token, bool) {
	given := []byte(hashOf(secret))
	var found Token
	ok := false
	for _, t := range ts {
		if subtle.ConstantTimeCompare(given, []byte(t.SHA256)) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

type tokenFile struct {
	Version int    `json:"v"`
	Tokens  Tokens `json:"tokens"`
}

// LoadTokens reads the tokens' file. Where there is none, or renew is set, it
// makes a write and a read token and returns them in the clear, this once: the
// file, of mode 0600, holds hashes only.
func LoadTokens(path string, renew bool, now time.Time) (ts Tokens, made map[Scope]string, err error) {
	if renew {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("tokens: %w", err)
		}
	}
	ts, err = readTokens(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ts, nil, err
	}
	write, w := NewToken("write", ScopeWrite, now)
	read, r := NewToken("read", ScopeRead, now)
	ts = Tokens{write, read}
	text, err := json.MarshalIndent(tokenFile{Version: 1, Tokens: ts}, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	// Whole or not at all, and another server's that came first stays.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tokens-*") // mode 0600
	if err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		ts, err = readTokens(path)
		return ts, nil, err
	} else if err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	return ts, map[Scope]string{ScopeWrite: w, ScopeRead: r}, nil
}

func readTokens(path string) (Tokens, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "%s can be opened by others (mode %#o), who could put their own tokens there: chmod 600 it, or make new ones with --new-tokens", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	var f tokenFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "%s is not a file of tokens; make new ones with --new-tokens: %w", path, err)
	}
	return f.Tokens, nil
}
