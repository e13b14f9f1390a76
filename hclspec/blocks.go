package hclspec

import "strings"

// topLevel lists every block type that may stand in a file, except those
// whose content depends on their first label, which typed lists.
var topLevel = []*blockSpec{
	pipelineBlock, variableBlock, localsBlock, datasetBlock, modelBlock,
	trainBlock, evaluateBlock, exportBlock, stepBlock, checkBlock, outputBlock,
	adapterBlock, policyBlock, movedBlock,
}

// typed lists the blocks whose first label chooses their content.
var typed = map[string]map[string]*blockSpec{
	"executor":  executorBlocks,
	"artifacts": artifactsBlocks,
	"tracker":   trackerBlocks,
	"notify":    notifyBlocks,
}

// typedNames fixes the order of typed in messages.
var typedNames = []string{"executor", "artifacts", "tracker", "notify"}

func blockTypes() []string {
	var names []string
	for _, s := range topLevel {
		names = append(names, s.Type)
	}
	return append(names, typedNames...)
}

func topLevelSpec(name string) *blockSpec {
	for _, s := range topLevel {
		if s.Type == name {
			return s
		}
	}
	return nil
}

// homeOf finds the block that takes an argument or block of that name: first
// nested in from, then anywhere in the language, then in adapters' config.
func (m *module) homeOf(name string, from *blockSpec) string {
	key := home{name, from}
	found, ok := m.homes[key]
	if !ok {
		found = m.findHome(name, from)
		m.homes[key] = found
	}
	return found
}

// home is a question that homeOf has answered.
type home struct {
	name string
	from *blockSpec
}

func (m *module) findHome(name string, from *blockSpec) string {
	if from != nil {
		if path := findIn(from, name, nil); len(path) > 0 {
			return strings.Join(path, ".")
		}
	}
	if from == trainBlock || from == checkpointBlock || from == startBlock || from == retryBlock {
		if home := m.configHome(name); home != "" {
			return home
		}
	}
	for _, s := range topLevel {
		if s != from && (contains(s.attributes(), name) || s.nested(name) != nil) {
			return s.Type
		}
	}
	for _, s := range topLevel {
		if s != from {
			if path := findIn(s, name, []string{s.Type}); len(path) > 0 {
				return strings.Join(path, ".")
			}
		}
	}
	for _, kind := range typedNames {
		for label, s := range typed[kind] {
			if s != from && contains(s.attributes(), name) {
				return kind + " \"" + label + "\""
			}
		}
	}
	return m.configHome(name)
}

// findIn looks for name in the blocks nested in s.
func findIn(s *blockSpec, name string, path []string) []string {
	for _, n := range s.Blocks {
		inner := append(append([]string{}, path...), n.Type)
		if contains(n.attributes(), name) || n.nested(name) != nil {
			return inner
		}
		if found := findIn(n, name, inner); found != nil {
			return found
		}
	}
	return nil
}

// configHome finds a name among the adapters' config fields.
func (m *module) configHome(name string) string {
	if m.opts.Catalog == nil {
		return ""
	}
	for _, a := range m.opts.Catalog.Adapters() {
		for _, task := range a.Tasks {
			s, _, ok := m.opts.Catalog.Schema(a.Name, task)
			if !ok {
				continue
			}
			for _, f := range s.Names() {
				parts := strings.Split(f, ".")
				if parts[len(parts)-1] == name || parts[0] == name {
					if parts[0] == name && len(parts) > 1 {
						return "config"
					}
					return strings.Join(append([]string{"config"}, parts[:len(parts)-1]...), ".")
				}
			}
		}
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
