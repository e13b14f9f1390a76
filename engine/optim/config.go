package optim

import (
	"fmt"
	"math"
	"strings"
)

// Config holds the hyperparameters of an update rule, with torch.optim's names
// and meanings. The learning rate is not among them: it is an input of the
// step graph (see Schedule).
type Config struct {
	Type        string  // name of an entry of All
	WeightDecay float64 // sgd and adam: added to the gradient; adamw: decoupled
	Momentum    float64 // sgd
	Nesterov    bool    // sgd; needs Momentum > 0
	Beta1       float64 // adam, adamw
	Beta2       float64 // adam, adamw
	Eps         float64 // adam, adamw
}

// Default returns PyTorch's defaults for a rule, with Momentum 0.9 for sgd.
func Default(name string) Config {
	c := Config{Type: name, Momentum: 0.9, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	if name == "adamw" {
		c.WeightDecay = 0.01
	}
	return c
}

// Check reports the first value that the rule cannot work with.
func (c Config) Check() error {
	if _, ok := Lookup(c.Type); !ok {
		return fmt.Errorf("unknown optimizer %q, want one of %s", c.Type, strings.Join(Names(), ", "))
	}
	in := func(name string, v, lo, hi float64) error {
		if math.IsNaN(v) || v < lo || v >= hi {
			return fmt.Errorf("optimizer %s: %s is %v, want a value in [%v, %v)", c.Type, name, v, lo, hi)
		}
		return nil
	}
	checks := []error{in("weight_decay", c.WeightDecay, 0, math.Inf(1))}
	if c.Type == "sgd" {
		checks = append(checks, in("momentum", c.Momentum, 0, 1))
		if c.Nesterov && c.Momentum == 0 {
			checks = append(checks, fmt.Errorf("optimizer sgd: nesterov needs momentum above 0"))
		}
	} else {
		checks = append(checks, in("beta1", c.Beta1, 0, 1), in("beta2", c.Beta2, 0, 1), in("eps", c.Eps, 0, math.Inf(1)))
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}
