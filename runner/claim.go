package runner

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

// Claim says for whose sources a state is used. State is kept by pipeline
// name, so two projects that share a store and claim one name would take each
// other's runs for their own: the second is refused.
type Claim struct {
	Source string // where the sources are at home, for people and for comparing; "" = not checked
	State  string // where the state is, for messages
	Moved  bool   // the sources were moved here: the state goes on as theirs
}

// claimed reports whether the pipeline's state is known to be of these
// sources. State of others is an error of code conflict.
func (p *Planner) claimed(ctx context.Context, pipeline string) (bool, error) {
	c := p.Claim
	if c.Source == "" {
		return true, nil
	}
	was, err := p.Store.Source(ctx, pipeline)
	if err != nil || was == c.Source || was == "" || c.Moved {
		return was == c.Source, err
	}
	return false, pipelines.Errorf(pipelines.CodeConflict, "the state %s has a pipeline %q of other sources: it is that of %s, and these are %s. "+
		"Rename the pipeline here, or give it another state with --store; if its sources moved, say so with --source-moved", c.State, pipeline, was, c.Source)
}

// claim files that the pipeline's state is of these sources. The caller holds
// the state lock.
func (p *Planner) claim(ctx context.Context, pipeline string) error {
	if mine, err := p.claimed(ctx, pipeline); mine || err != nil {
		return err
	}
	return p.Store.SetSource(ctx, pipeline, p.Claim.Source)
}
