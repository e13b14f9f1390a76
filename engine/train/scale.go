package train

import (
	"fmt"
	"math"

	"github.com/trainwright/trainwright/engine/lower"
)

// LossScale is the factor on the loss by which gradients in float16 keep from
// vanishing. It is halved where they overflow, and doubled when they have not
// for a while, as by PyTorch's GradScaler.
type LossScale struct {
	Scale float64 `json:"scale"`
	Good  int     `json:"good"` // updates since it changed
}

const (
	firstScale     = 1 << 16
	scaleGrowsAt   = 2000 // updates
	leastLossScale = 1    // below it the gradients themselves are at fault
)

// newLossScale is what a training in a precision starts with.
func newLossScale(p lower.Precision) *LossScale {
	if p != lower.Float16 {
		return nil
	}
	return &LossScale{Scale: firstScale}
}

// overflowed reports that the gradients of the last run are not finite, and
// adapts the scale. What the run assigned must then not become current.
func (t *trainer) overflowed(p *program) (bool, error) {
	s := t.state.LossScale
	if s == nil {
		return false, nil
	}
	square, err := p.scalar(outSquare)
	if err != nil {
		return false, err
	}
	if !math.IsInf(square, 0) && !math.IsNaN(square) {
		if s.Good++; s.Good >= scaleGrowsAt {
			s.Scale, s.Good = 2*s.Scale, 0
		}
		return false, nil
	}
	s.Scale, s.Good = s.Scale/2, 0
	if s.Scale < leastLossScale {
		return false, fmt.Errorf("%w: gradients are not finite at any loss scale (batch %d of epoch %d); lower learning_rate, set gradient_clip_value, or turn mixed_precision off",
			ErrNaN, t.state.Sums.Batches+1, t.state.Epoch+1)
	}
	return true, t.say("info", "gradients of batch %d overflowed float16: the batch is left out, and the loss scale is %g from now on", t.state.Sums.Batches+1, s.Scale)
}
