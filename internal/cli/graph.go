package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/pipelines"
)

// graphNode is one thing of a pipeline and what it waits for.
type graphNode struct {
	Address pipelines.Address   `json:"address"`
	Kind    string              `json:"kind"` // train, evaluate, export, step, check, output
	Needs   []pipelines.Address `json:"needs"`
}

func newGraphCmd(a *app) *cobra.Command {
	var flags pipelineFlags
	var format string
	c := describe(&cobra.Command{
		Use:   "graph [PATH]",
		Short: "Draw the steps and what they wait for (DOT, Mermaid)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "dot" && format != "mermaid" {
				return usagef("--format is %q; it is dot or mermaid", format)
			}
			opts := a.options(flags)
			opts.Validate = true
			p, _, err := a.load(c.Context(), a.pipelinePath(args), opts)
			if err != nil {
				return err
			}
			nodes := graphNodes(p)
			return a.show(map[string]any{"pipeline": p.Name, "nodes": nodes}, func(w io.Writer) {
				if format == "dot" {
					writeDOT(w, p.Name, nodes)
					return
				}
				writeMermaid(w, nodes)
			})
		},
	}, `
Writes the pipeline's steps, checks and outputs with their dependencies, for
Graphviz (dot) or for Markdown (mermaid).`)
	flags.register(c)
	c.Flags().StringVar(&format, "format", "dot", "`dot|mermaid`")
	return c
}

func graphNodes(p *pipelines.Pipeline) []graphNode {
	nodes := []graphNode{}
	add := func(address pipelines.Address, kind string, needs []pipelines.Address) {
		if needs == nil {
			needs = []pipelines.Address{}
		}
		nodes = append(nodes, graphNode{address, kind, needs})
	}
	for _, s := range p.Steps {
		add(s.Address, string(s.Kind), s.Needs)
	}
	for _, c := range p.Checks {
		add(c.Address, "check", c.Needs)
	}
	for _, o := range p.Outputs {
		add(pipelines.Address("output."+o.Name), "output", o.Needs)
	}
	return nodes
}

var dotShapes = map[string]string{"train": "box", "evaluate": "ellipse", "export": "cds", "step": "component", "check": "diamond", "output": "note"}

func writeDOT(w io.Writer, name string, nodes []graphNode) {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
	}
	fmt.Fprintf(w, "digraph %s {\n  rankdir = LR\n", quote(name))
	for _, n := range nodes {
		fmt.Fprintf(w, "  %s [shape=%s]\n", quote(string(n.Address)), dotShapes[n.Kind])
	}
	for _, n := range nodes {
		for _, need := range n.Needs {
			fmt.Fprintf(w, "  %s -> %s\n", quote(string(need)), quote(string(n.Address)))
		}
	}
	fmt.Fprintln(w, "}")
}

func writeMermaid(w io.Writer, nodes []graphNode) {
	ids := map[pipelines.Address]string{}
	fmt.Fprintln(w, "flowchart LR")
	for i, n := range nodes {
		ids[n.Address] = fmt.Sprintf("n%d", i)
		label := strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(string(n.Address))
		open, end := `["`, `"]`
		if n.Kind == "check" {
			open, end = `{"`, `"}`
		}
		fmt.Fprintf(w, "  %s%s%s%s\n", ids[n.Address], open, label, end)
	}
	for _, n := range nodes {
		for _, need := range n.Needs {
			if id, ok := ids[need]; ok {
				fmt.Fprintf(w, "  %s --> %s\n", id, ids[n.Address])
			}
		}
	}
}
