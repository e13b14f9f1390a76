package web

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"github.com/trainwright/trainwright/web/submit"
)

// serverKey finds the server in a request's context.
type serverKey struct{}

// inBody says that huma's location is in the body: body, body.a.b[3].
func inBody(location string) bool {
	rest, ok := strings.CutPrefix(location, "body")
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// pointed gives places in the body as JSON pointers. huma joins keys by dots,
// which names of files have as well, and loses its way after one: so it
// checks the body once more, with keys that have none.
func (s *Server) pointed(ctx huma.Context, at []ProblemAt) []ProblemAt {
	if !slices.ContainsFunc(at, func(p ProblemAt) bool { return inBody(p.Location) }) {
		return at
	}
	found := s.bodyErrors(ctx)
	out := []ProblemAt{}
	for _, p := range at {
		switch {
		case !inBody(p.Location):
			out = append(out, p)
		case len(found) == 0: // it is no JSON, say
			out = append(out, ProblemAt{Message: p.Message})
		}
	}
	return append(out, found...)
}

// bodyErrors checks the body against its schema.
func (s *Server) bodyErrors(ctx huma.Context) (out []ProblemAt) {
	var body any
	if json.Unmarshal(humafiber.Unwrap(ctx).Body(), &body) != nil {
		return nil
	}
	op := ctx.Operation().RequestBody
	if op == nil || op.Content["application/json"] == nil {
		return nil
	}
	var res huma.ValidateResult
	huma.Validate(s.api.OpenAPI().Components.Schemas, op.Content["application/json"].Schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, plainKeys(body), &res)
	for _, p := range placesOf(res.Errors) {
		out = append(out, ProblemAt{Location: pointerOf(p.Location), Message: p.Message})
	}
	slices.SortFunc(out, func(a, b ProblemAt) int {
		return cmp.Or(strings.Compare(a.Location, b.Location), strings.Compare(a.Message, b.Message))
	})
	return out
}

// noKey stands for the key "".
const noKey = "\uE003"

// What huma writes between keys has stand-ins in keys; no schema's has any.
var (
	toPlain   = strings.NewReplacer(".", "\uE000", "[", "\uE001", "]", "\uE002")
	fromPlain = strings.NewReplacer("\uE000", ".", "\uE001", "[", "\uE002", "]", noKey, "")
)

func plainKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, x := range v {
			out[cmp.Or(toPlain.Replace(key), noKey)] = plainKeys(x)
		}
		return out
	case []any:
		for i := range v {
			v[i] = plainKeys(v[i])
		}
	}
	return v
}

// pointerOf writes huma's location as a JSON pointer: a.b[3] is /a/b/3.
func pointerOf(location string) string {
	var b strings.Builder
	for _, key := range strings.FieldsFunc(location, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		b.WriteString("/" + submit.PointerKey(fromPlain.Replace(key)))
	}
	return b.String()
}
