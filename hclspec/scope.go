package hclspec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/trainwright/trainwright/pipelines"
)

// scope reads the arguments of one block instance and gathers what it finds:
// diagnostics, fields that wait for results, and where each field stands.
type scope struct {
	e       *evaluator
	each    *instance // nil outside for_each and matrix
	diags   hcl.Diagnostics
	unknown map[string][]pipelines.Address
	ranges  map[string]pipelines.Range
	// allowSensitive lets secrets through; the caller keeps them.
	allowSensitive bool
	sensitive      bool     // the last value read was sensitive
	lastType       cty.Type // of the last value read, known or not
}

func (e *evaluator) scope(each *instance) *scope {
	return &scope{e: e, each: each, unknown: map[string][]pipelines.Address{}, ranges: map[string]pipelines.Range{}}
}

func (s *scope) fail(at hcl.Range, summary, detail string, args ...any) {
	s.diags = append(s.diags, failure(at, summary, detail, args...))
}

// when says whether a field may wait for results.
type when bool

const (
	early when = false // must be known when the plan is made
	late  when = true
)

// attr evaluates an argument. ok is false when it is absent, null, not known
// yet or wrong; what is wrong has been reported, and what it waits for noted.
func (s *scope) attr(b *block, name, path string, w when) (cty.Value, bool) {
	a, present := b.attrs[name]
	if !present {
		return cty.NilVal, false
	}
	v, diags := s.e.eval(a.Expr, s.each)
	s.diags = append(s.diags, diags...)
	s.ranges[path] = toRange(a.Expr.Range())
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	return s.admit(v, name, path, a.Expr.Range(), w)
}

// admit checks that a value may stand in a field: known or allowed to be
// late, and not sensitive.
func (s *scope) admit(v cty.Value, name, path string, at hcl.Range, w when) (cty.Value, bool) {
	v, m := unmark(v)
	s.sensitive, s.lastType = m.sensitive, v.Type()
	if m.sensitive && !s.allowSensitive {
		s.fail(at, "Sensitive value not allowed", "%q would be stored and shown, so it takes no sensitive value. Hand secrets to a step through its environment: env = { NAME = secret(\"NAME\") }.", name)
		return cty.NilVal, false
	}
	if !v.IsWhollyKnown() {
		switch {
		case len(m.late) > 0 && w == early:
			s.fail(at, "Value is known too late", "%q must be known when the plan is made, and this depends on the result of %s. Results may flow into paths, weights, checkpoints, conditions, values, env and inputs.", name, addresses(m.late))
		case len(m.late) > 0:
			s.unknown[path] = m.late
		}
		return cty.NilVal, false // otherwise an unset environment variable, while validating
	}
	return v, !v.IsNull()
}

func addresses(list []pipelines.Address) string {
	return join(addressStrings(list), "and")
}

// addressStrings shortens long lists.
func addressStrings(list []pipelines.Address) []string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = string(a)
	}
	if len(words) > 4 {
		words = append(words[:3], fmt.Sprintf("%d more", len(words)-3))
	}
	return words
}

func join(words []string, conjunction string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	out := words[0]
	for _, w := range words[1 : len(words)-1] {
		out += ", " + w
	}
	return out + " " + conjunction + " " + words[len(words)-1]
}

// wrong reports a value of the wrong type or out of bounds.
func (s *scope) wrong(at hcl.Range, name string, v cty.Value, want string) {
	given := show(v)
	if s.sensitive {
		given = "(sensitive)"
	}
	hint := ""
	if v.Type() == cty.String && (want == "a number" || want == "a whole number") {
		hint = " Convert text with tonumber(…)."
	}
	s.fail(at, "Invalid value", "%q must be %s, not %s.%s", name, want, given, hint)
}

func (s *scope) text(b *block, name, path string, w when) (string, bool) {
	v, ok := s.attr(b, name, path, w)
	if !ok {
		s.misfit(b.at(name), name, path, "a string", cty.String)
		return "", false
	}
	if v.Type() != cty.String {
		s.wrong(b.at(name), name, v, "a string")
		return "", false
	}
	return v.AsString(), true
}

// misfit reports a late value whose type can never fit the field.
func (s *scope) misfit(at hcl.Range, name, path, want string, allowed ...cty.Type) {
	if len(s.unknown[path]) == 0 || s.lastType == cty.DynamicPseudoType || slices.ContainsFunc(allowed, s.lastType.Equals) {
		return
	}
	hint := ""
	if s.lastType.IsObjectType() && s.lastType.HasAttribute("best") {
		hint = " Add .best or .latest."
	}
	s.fail(at, "Invalid value", "%q must be %s, not %s.%s", name, want, article(s.lastType.FriendlyName()), hint)
	delete(s.unknown, path)
}

// oneOf reads a string that must be one of the words that the block's spec lists for it.
func (s *scope) oneOf(b *block, name, path string) (string, bool) {
	allowed := b.spec.Words[name]
	t, ok := s.text(b, name, path, early)
	if !ok {
		return "", false
	}
	if !slices.Contains(allowed, t) {
		s.fail(b.at(name), "Invalid value", "%q must be %s, not %q.%s", name, orList(allowed), t, didYouMean(t, allowed))
		return "", false
	}
	return t, true
}

func (s *scope) boolean(b *block, name, path string) (bool, bool) {
	v, ok := s.attr(b, name, path, early)
	if !ok {
		return false, false
	}
	if v.Type() != cty.Bool {
		s.wrong(b.at(name), name, v, "true or false")
		return false, false
	}
	return v.True(), true
}

func (s *scope) float(b *block, name, path string, low, high float64) (float64, bool) {
	v, ok := s.attr(b, name, path, early)
	if !ok {
		return 0, false
	}
	if v.Type() != cty.Number {
		s.wrong(b.at(name), name, v, "a number")
		return 0, false
	}
	x, _ := v.AsBigFloat().Float64()
	if x < low || x > high {
		s.wrong(b.at(name), name, v, bounds("a number", low, high))
		return 0, false
	}
	return x, true
}

func (s *scope) whole(b *block, name, path string, low, high int64) (int64, bool) {
	v, ok := s.attr(b, name, path, early)
	if !ok {
		return 0, false
	}
	return s.wholeOf(v, b.at(name), name, low, high)
}

func (s *scope) wholeOf(v cty.Value, at hcl.Range, name string, low, high int64) (int64, bool) {
	n, isInt := int64(0), false
	if v.Type() == cty.Number {
		n, isInt = toGo(v, true).(int64)
	}
	if !isInt {
		s.wrong(at, name, v, "a whole number")
		return 0, false
	}
	if n < low || n > high {
		s.wrong(at, name, v, bounds("a whole number", float64(low), float64(high)))
		return 0, false
	}
	return n, true
}

func bounds(what string, low, high float64) string {
	if high >= math.MaxInt32 {
		return what + " of at least " + plain(low)
	}
	return what + " between " + plain(low) + " and " + plain(high)
}

func plain(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// texts reads a list of strings.
func (s *scope) texts(b *block, name, path string) ([]string, bool) {
	v, ok := s.attr(b, name, path, early)
	if !ok {
		return nil, false
	}
	list, ok := stringList(v)
	if !ok {
		s.wrong(b.at(name), name, v, "a list of strings")
	}
	return list, ok
}

func stringList(v cty.Value) ([]string, bool) {
	ty := v.Type()
	if !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		return nil, false
	}
	out := []string{}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || e.Type() != cty.String {
			return nil, false
		}
		out = append(out, e.AsString())
	}
	return out, true
}

// textMap reads a map of strings whose values may each be late or sensitive;
// secrets is nil where sensitive values are not allowed. Numbers and booleans
// become text.
func (s *scope) textMap(b *block, name, path string, w when, secrets map[string]pipelines.Secret) map[string]string {
	a, present := b.attrs[name]
	if !present {
		return nil
	}
	v, diags := s.e.eval(a.Expr, s.each)
	s.diags = append(s.diags, diags...)
	s.ranges[path] = toRange(a.Expr.Range())
	if diags.HasErrors() {
		return nil
	}
	outerValue, outer := v.Unmark()
	ty := outerValue.Type()
	if !outerValue.IsKnown() {
		s.admit(v, name, path, a.Expr.Range(), w)
		return nil
	}
	if outerValue.IsNull() || !ty.IsObjectType() && !ty.IsMapType() {
		bare, m := unmark(v)
		s.sensitive = m.sensitive
		s.wrong(a.Expr.Range(), name, bare, "a map of strings: { NAME = \"value\" }")
		return nil
	}
	out := map[string]string{}
	for it := outerValue.ElementIterator(); it.Next(); {
		k, e := it.Element()
		key, _ := unmark(k)
		e = e.WithMarks(outer)
		field := path + "." + key.AsString()
		at := entryRange(a.Expr, key.AsString())
		s.ranges[field] = toRange(at)
		allowed := s.allowSensitive
		s.allowSensitive = secrets != nil
		e, ok := s.admit(e, name+"."+key.AsString(), field, at, w)
		s.allowSensitive = allowed
		if !ok {
			continue
		}
		text, ok := asText(e)
		switch {
		case !ok:
			s.wrong(at, name+"."+key.AsString(), e, "a string")
		case s.sensitive:
			secrets[key.AsString()] = pipelines.NewSecret(text)
		default:
			out[key.AsString()] = text
		}
	}
	return out
}

func asText(v cty.Value) (string, bool) {
	switch v.Type() {
	case cty.String:
		return v.AsString(), true
	case cty.Number:
		return instanceText(v), true
	case cty.Bool:
		return fmt.Sprint(v.True()), true
	}
	return "", false
}

// entryRange is where an entry of an object expression stands, or the whole
// expression when it is not written out.
func entryRange(expr hcl.Expression, key string) hcl.Range {
	pairs, diags := hcl.ExprMap(expr)
	if !diags.HasErrors() {
		for _, p := range pairs {
			if k, d := p.Key.Value(nil); !d.HasErrors() && k.IsKnown() && stringOf(k) == key {
				return p.Value.Range()
			}
		}
	}
	return expr.Range()
}

// merge takes over what another scope found.
func (s *scope) merge(unknown map[string][]pipelines.Address, ranges map[string]pipelines.Range) {
	maps.Copy(s.unknown, unknown)
	maps.Copy(s.ranges, ranges)
}
