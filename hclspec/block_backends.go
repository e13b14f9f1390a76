package hclspec

import (
	"slices"

	"github.com/trainwright/trainwright/pipelines"
)

// artifactsBlocks say where checkpoints and artifacts are kept.
var artifactsBlocks = map[string]*blockSpec{
	"dir": {Type: "artifacts", Labels: []string{"type"}, Required: []string{"path"}},
	"s3":  {Type: "artifacts", Labels: []string{"type"}, Required: []string{"bucket"}, Optional: []string{"prefix", "endpoint", "region", "path_style", "access_key_id", "secret_access_key"}, Flags: []string{"path_style"}},
}

// trackerBlocks mirror metrics elsewhere.
var trackerBlocks = map[string]*blockSpec{
	"mlflow":      {Type: "tracker", Labels: []string{"type"}, Required: []string{"uri"}, Optional: []string{"experiment", "token", "username", "password", "tags"}},
	"tensorboard": {Type: "tracker", Labels: []string{"type"}, Required: []string{"path"}},
}

// notifyBlocks tell others what happened.
var notifyBlocks = map[string]*blockSpec{
	"webhook": {Type: "notify", Labels: []string{"type"}, Required: []string{"url"}, Optional: []string{"secret", "events", "headers"}, Words: map[string][]string{"events": notifyEvents}},
	"slack":   {Type: "notify", Labels: []string{"type"}, Required: []string{"url"}, Optional: []string{"events"}, Words: map[string][]string{"events": notifyEvents}},
}

// notifyEvents are what a notify block may be told of.
var notifyEvents = []string{"started", "completed", "failed", "cancelled", "check_failed"}

// backend decodes an artifacts, tracker or notify block.
func (m *module) backend(b *block) pipelines.BackendConfig {
	s := m.static.scope(nil)
	s.allowSensitive = true
	out := pipelines.BackendConfig{
		Type: b.labels[0], Name: b.name(), Range: toRange(b.head),
		Attributes: map[string]any{}, Secrets: map[string]pipelines.Secret{},
	}
	s.backendAttributes(b, out.Attributes, out.Secrets)
	if b.spec.Type != "artifacts" {
		m.notYet(s, b.head, "Blocks of type "+b.spec.Type+" are not part of this version.")
	}
	m.add(s.diags...)
	return out
}

func (s *scope) events(b *block, plain map[string]any) {
	list, ok := s.texts(b, "events", "events")
	if !ok {
		return
	}
	for _, e := range list {
		if !slices.Contains(notifyEvents, e) {
			s.fail(b.at("events"), "Invalid value", "There is no event %q; there are %s.%s", e, orList(notifyEvents), didYouMean(e, notifyEvents))
		}
	}
	plain["events"] = list
}

// backends decodes all of them.
func (m *module) backends(p *pipelines.Pipeline) {
	for _, b := range m.order {
		switch b.spec.Type {
		case "artifacts":
			c := m.backend(b)
			if p.Artifacts != nil {
				m.add(failure(b.head, "Duplicate block", "A pipeline has one artifacts block; the first is on line %d of %s.", p.Artifacts.Range.Start.Line, p.Artifacts.Range.Filename))
				continue
			}
			p.Artifacts = &c
		case "tracker":
			p.Trackers = append(p.Trackers, m.backend(b))
		case "notify":
			p.Notifies = append(p.Notifies, m.backend(b))
		case "executor":
			if n := m.nodes[b.address()]; n != nil && n.block == b {
				p.Executors[pipelines.Address(b.address())] = m.executor(b)
			}
		}
	}
}
