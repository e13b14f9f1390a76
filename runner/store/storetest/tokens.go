package storetest

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

func testTokens(t *testing.T, open Open) {
	ctx, s := context.Background(), open(t)
	hash := func(c string) string { return strings.Repeat(c, 64) }
	a := runner.Token{ID: "a", Role: runner.RoleAdmin, Label: "ann's laptop", SHA256: hash("a"), Created: clock}
	b := runner.Token{ID: "b", Role: runner.RoleRunStatus, RunID: "r", SHA256: hash("b"), Created: clock.Add(time.Second), Expires: clock.Add(time.Hour)}
	if err := s.CreateToken(ctx, a); pipelines.CodeOf(err) == pipelines.CodeUnavailable {
		t.Skip(err) // a store that is another's server
	} else if err != nil {
		t.Fatal(err)
	}
	ok(t, s.CreateToken(ctx, b))
	wantCode(t, s.CreateToken(ctx, a), pipelines.CodeConflict)
	same := a
	same.ID = "c"
	wantCode(t, s.CreateToken(ctx, same), pipelines.CodeConflict) // its hash is known
	for _, bad := range []runner.Token{{ID: "d", Role: "owner", SHA256: hash("d")}, {ID: "d", Role: runner.RoleRead, SHA256: "secret"}, {Role: runner.RoleRead, SHA256: hash("d")}} {
		wantCode(t, s.CreateToken(ctx, bad), pipelines.CodeInvalid)
	}
	if got := must(open(t).Tokens(ctx))(t); !reflect.DeepEqual(got, []runner.Token{b, a}) {
		t.Errorf("tokens %+v, want b, a", got)
	}
	if got := must(s.TokenByHash(ctx, hash("b")))(t); !reflect.DeepEqual(got, b) || !got.Holds(clock) || got.Holds(b.Expires) {
		t.Errorf("by hash: %+v", got)
	}
	_, err := s.TokenByHash(ctx, hash("c"))
	wantCode(t, err, pipelines.CodeNotFound)
	if err != nil && strings.Contains(err.Error(), hash("c")) {
		t.Errorf("the error tells the hash: %v", err)
	}

	ok(t, s.UseToken(ctx, "a", clock.Add(2*time.Second)))
	ok(t, s.UseToken(ctx, "a", clock.Add(time.Second)))
	ok(t, s.RevokeToken(ctx, "a", clock.Add(3*time.Second)))
	ok(t, s.RevokeToken(ctx, "a", clock.Add(4*time.Second)))
	a.LastUsed, a.Revoked = clock.Add(2*time.Second), clock.Add(3*time.Second)
	if got := must(s.TokenByHash(ctx, hash("a")))(t); !reflect.DeepEqual(got, a) || got.Holds(clock) {
		t.Errorf("used and revoked:\n got %+v\nwant %+v", got, a)
	}
	wantCode(t, s.RevokeToken(ctx, "none", clock), pipelines.CodeNotFound)
	wantCode(t, s.UseToken(ctx, "none", clock), pipelines.CodeNotFound)
}
