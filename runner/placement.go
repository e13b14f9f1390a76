package runner

import (
	"fmt"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// placements are the arguments of an executor block that a plan shows, in this order.
var placements = []struct{ name, form string }{
	{"context", "context %v"}, {"namespace", "namespace %v"}, {"image", "image %v"}, {"nodes", "%v nodes"}, {"gpus", "%v GPUs"},
	{"cpus", "%v CPUs"}, {"memory", "%v memory"}, {"queue", "queue %v"}, {"priority_class", "priority %v"},
}

// placement says in a line what a step asks its cluster for.
func placement(c pipelines.ExecutorConfig) string {
	if c.Type != "kubernetes" {
		return ""
	}
	var words []string
	for _, p := range placements {
		if v, ok := c.Attributes[p.name]; ok {
			words = append(words, fmt.Sprintf(p.form, v))
		}
	}
	return strings.Join(words, ", ")
}
