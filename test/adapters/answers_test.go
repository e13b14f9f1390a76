package adapters

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// difference is where two adapters' answers may differ, and why. At a place
// with the kind value the types agree and the values need not; what lies below
// a place with the kind content is not compared.
type difference struct {
	at   string // a regular expression over route and path: "/api/v1/runs/{id} .metrics.loss"
	kind kind
	why  string
}

type kind int

const (
	value kind = iota
	content
)

var differences = []difference{
	{`\.adapter$|\.framework$`, value, "the adapter's name"},
	{`\.(id|run_id|apply_id|content_key)$`, value, "each run has its own"},
	{`\.(created|started|ended|time|updated|first|last|cursor)$`, value, "when it ran"},
	{`\.(path|checkpoint_path|dir|folder)$`, value, "each ran in a folder of its own, and a checkpoint is a folder natively and a file in Python"},
	{`\.(sha256|size|bytes)$`, value, "files of other formats"},
	{`\.(images_per_second|eta_seconds)$`, value, "speed"},
	{`\.(metrics|last_metrics|best|per_class|per_class_metrics\.[^.]*)\.[a-z0-9_]+$`, value, "measured"},
	{`\.per_class\.[^.]*\.[a-z0-9_]+$`, value, "measured"},
	{`\.(primary_metric_value|overall_loss|loss)$`, value, "measured"},
	{`/metrics \.series\[\d+\]\.(points\[\d+\]\.value|last|min|max)$`, value, "measured"},
	{`\.confusion_matrix\[`, value, "measured"},
	{`\.pr_curves\.[^.]*\.(ap|thresholds|precision|recall)`, content, "measured; as many points as there are different scores"},
	{`\.samples$`, content, "as many as there are errors; the fields are compared below"},
	{`\.applied\.environment$`, content, "other libraries decide the last bits of results"},
	{`\.attributes\.num_workers$`, value, "unset, images are loaded by a goroutine on each processor, or by Python's own process"},
	{`\.attributes\.weights$`, value, "a path"},
	{`\.requested\.adapter$`, value, "the adapter's name"},
	{`\.requested\.adapter\.numerics$`, value, "a number that each adapter bumps by itself"},
	{`\.requested\.checkpoint$`, value, "files of other formats"},
	{`\.requested\.adapter\.lock$`, content, "only Python adapters have requirements, and so a hash of them"},
	{`\.upstream|\.inputs?\.`, value, "a hash of another run's file"},
	{`/models/list \.(models|total)$`, content, "each framework has models of its own; the one that both have is compared below"},
	{`\.schema\.fields\[\d+\]\.(options|condition\.value)$`, content, "timm has more schedules; TestOneSetOfSettings holds them to be native's and more"},
	{`\.schema\.fields\[\d+\]\.description$`, value, "words for people"},
	{`/datasets `, content, "what lies in the folder that is served"},
	{`/logs \.(output|text|size|next|offset)`, content, "what libraries print"},
}

// routes that answer nothing of a run, or never end.
var left = map[string]string{
	"/":                            "the page",
	"/assets/{name}":               "the page",
	"/login":                       "logs in",
	"/openapi.json":                "what this list is made of",
	"/healthz":                     "a word",
	"/readyz":                      "a word",
	"/metrics":                     "Prometheus's text, compared below",
	"/api/v1/tokens":               "needs a token, tells nothing of runs",
	"/api/v1/applies/{id}":         "what was handed to a server; these were applied beside it",
	"/api/v1/applies/{id}/notices": "what was handed to a server; these were applied beside it",
	"/api/v1/adapters/{name}":      "what planning needs, in another order of the fields that are compared",
	"/api/v1/ws":                   "the events that the store has, as they come",
	"/api/v1/runs/{id}/events":     "the events that the store has, as they come",
}

// sameAnswers asks two servers everything that can be asked, and compares. It
// returns the settings that only the second adapter has, which are left out.
func sameAnswers(t *testing.T, a, b *place) []string {
	t.Helper()
	own := a.settings()
	more := slices.DeleteFunc(b.settings(), func(name string) bool { return slices.Contains(own, name) })
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	a.json("/openapi.json", &doc)
	c := comparison{t: t}
	for _, rule := range differences {
		c.rules = append(c.rules, regexp.MustCompile(rule.at))
	}
	runsA, runsB := a.runs(), b.runs()
	if len(runsA) != len(runsB) {
		t.Fatalf("%d runs of %s, %d of %s", len(runsA), a.adapter, len(runsB), b.adapter)
	}
	asked := 0
	for _, route := range slices.Sorted(maps.Keys(doc.Paths)) {
		if _, ok := doc.Paths[route]["get"]; !ok || left[route] != "" {
			continue
		}
		pathsA, pathsB := a.paths(route, runsA), b.paths(route, runsB)
		if len(pathsA) != len(pathsB) {
			t.Errorf("%s: %s can be asked %d times, %s %d times", route, a.adapter, len(pathsA), b.adapter, len(pathsB))
			continue
		}
		for i := range pathsA {
			if strings.HasSuffix(route, "{name}") || strings.HasSuffix(route, "/picture") {
				if len(a.get(pathsA[i])) == 0 || len(b.get(pathsB[i])) == 0 {
					t.Errorf("%s: an empty file", route)
				}
				asked++
				continue
			}
			var va, vb any
			a.json(pathsA[i], &va)
			b.json(pathsB[i], &vb)
			if strings.HasSuffix(route, "/logs") {
				withoutExtra(va)
				withoutExtra(vb)
			}
			if strings.HasSuffix(route, "/checkpoints") {
				ofEpochs(va)
				ofEpochs(vb)
			}
			c.compare(route+" ", va, withoutSettings(vb, more))
			asked++
		}
	}
	if asked < 20 {
		t.Errorf("only %d answers were compared", asked)
	}
	if x, y := promNames(a.get("/metrics")), promNames(b.get("/metrics")); !slices.Equal(x, y) {
		t.Errorf("Prometheus metrics %v and %v", x, y)
	}
	return more
}

// settings are the names of the adapter's, as a form asks for them.
func (p *place) settings() []string {
	p.lab.t.Helper()
	var answer struct {
		Schema struct {
			Fields []struct{ Name string }
		}
	}
	p.json("/config/schema?task_type=image_classification&framework="+p.adapter, &answer)
	var out []string
	for _, f := range answer.Schema.Fields {
		out = append(out, f.Name)
	}
	return out
}

// withoutSettings takes settings from an answer: keys of a config, and fields
// of a schema. Of those that stay, options and conditions may be wider.
func withoutSettings(answer any, names []string) any {
	switch v := answer.(type) {
	case map[string]any:
		for key, value := range v {
			if slices.Contains(names, strings.TrimPrefix(key, "config.")) {
				delete(v, key)
				continue
			}
			v[key] = withoutSettings(value, names)
		}
	case []any:
		v = slices.DeleteFunc(v, func(item any) bool {
			field, ok := item.(map[string]any)
			name, _ := field["name"].(string)
			return ok && slices.Contains(names, name)
		})
		for i, item := range v {
			v[i] = withoutSettings(item, names)
		}
		return v
	}
	return answer
}

// runs are the ids of a place's runs, newest first.
func (p *place) runs() []string {
	p.lab.t.Helper()
	var list struct {
		Runs []struct {
			ID string `json:"run_id"`
		} `json:"runs"`
	}
	p.json("/api/v1/runs", &list)
	var ids []string
	for _, r := range list.Runs {
		ids = append(ids, r.ID)
	}
	return ids
}

// paths are what is asked of a route: it for each run, and each file of each run.
func (p *place) paths(route string, runs []string) []string {
	p.lab.t.Helper()
	if !strings.Contains(route, "{id}") {
		query := ""
		if strings.HasSuffix(route, "/list") || strings.HasSuffix(route, "schema") {
			query = "?task_type=image_classification&framework=" + p.adapter
		}
		return []string{route + query}
	}
	var out []string
	for _, id := range runs {
		at := strings.ReplaceAll(route, "{id}", id)
		switch list, isFile := strings.CutSuffix(at, "/{name}"); {
		case isFile:
			for _, name := range p.names(list) {
				out = append(out, list+"/"+url.PathEscape(name))
			}
		case strings.HasSuffix(at, "/picture"):
			for _, sample := range p.samples(id) {
				out = append(out, at+"?path="+url.QueryEscape(fmt.Sprint(sample["path"])))
				break
			}
		default:
			out = append(out, at)
		}
	}
	return out
}

// extra are messages that only Python adapters have: a framework's export is
// held against the network, the native engine's is made of what trained.
var extra = regexp.MustCompile(`^the exported model's outputs differ from the framework's by at most`)

func withoutExtra(answer any) {
	if logs, ok := answer.(map[string]any); ok {
		messages, _ := logs["messages"].([]any)
		logs["messages"] = slices.DeleteFunc(messages, func(m any) bool { return extra.MatchString(fmt.Sprint(m.(map[string]any)["text"])) })
	}
}

// ofEpochs leaves of a list of checkpoints those of epochs and the last best one,
// in the order of their names: how often a training got better is measured, and
// what is saved within an epoch depends on how long that takes.
func ofEpochs(answer any) {
	list, _ := answer.(map[string]any)
	rows, _ := list["checkpoints"].([]any)
	byName := map[string]any{}
	for _, row := range rows {
		if name := fmt.Sprint(row.(map[string]any)["name"]); name == "best" || strings.HasPrefix(name, "epoch_") {
			byName[name] = row
		}
	}
	rows = rows[:0]
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		rows = append(rows, byName[name])
	}
	list["checkpoints"] = rows
}

// names are those of a run's checkpoints or artifacts.
func (p *place) names(list string) []string {
	p.lab.t.Helper()
	var answer map[string]any
	p.json(list, &answer)
	if strings.HasSuffix(list, "/checkpoints") {
		ofEpochs(answer)
	}
	var out []string
	rows, _ := answer[list[strings.LastIndexByte(list, '/')+1:]].([]any)
	for _, row := range rows {
		out = append(out, fmt.Sprint(row.(map[string]any)["name"]))
	}
	return out
}

// samples are the images that a run's last validation tells of.
func (p *place) samples(run string) []map[string]any {
	p.lab.t.Helper()
	var answer struct {
		Validations []struct {
			Samples []map[string]any `json:"samples"`
		} `json:"validations"`
	}
	p.json("/api/v1/runs/"+run+"/validation", &answer)
	if n := len(answer.Validations); n > 0 {
		return answer.Validations[n-1].Samples
	}
	return nil
}

// comparison holds two answers against each other.
type comparison struct {
	t     *testing.T
	rules []*regexp.Regexp
}

func (c comparison) compare(at string, a, b any) {
	c.t.Helper()
	rule := slices.IndexFunc(c.rules, func(r *regexp.Regexp) bool { return r.MatchString(at) })
	if rule >= 0 && differences[rule].kind == content {
		return
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if _, ok := y[key]; ok {
				c.compare(at+"."+key, x[key], y[key])
			} else {
				c.missing(at+"."+key, x[key], "second")
			}
		}
		for _, key := range slices.Sorted(maps.Keys(y)) {
			if _, ok := x[key]; !ok {
				c.missing(at+"."+key, y[key], "first")
			}
		}
		return
	case []any:
		y, ok := b.([]any)
		if !ok {
			break
		}
		if len(x) != len(y) {
			c.t.Errorf("%s has %d and %d elements", at, len(x), len(y))
			return
		}
		for i := range x {
			c.compare(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])
		}
		return
	}
	if rule >= 0 && reflect.TypeOf(a) == reflect.TypeOf(b) {
		return
	}
	if a != b {
		c.t.Errorf("%s is %v and %v", at, a, b)
	}
}

// missing tells of a key that one of two answers lacks.
func (c comparison) missing(at string, v any, which string) {
	c.t.Helper()
	for i, rule := range c.rules {
		if differences[i].kind == content && rule.MatchString(at) {
			return
		}
	}
	c.t.Errorf("%s is %v, and the %s answer has none", at, v, which)
}

var promName = regexp.MustCompile(`(?m)^# TYPE (\S+ \S+)$`)

func promNames(text []byte) []string {
	var out []string
	for _, m := range promName.FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	slices.Sort(out)
	return out
}
