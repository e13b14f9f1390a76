package optim

import (
	"fmt"
	"math"
	"strings"
)

// Schedule gives the learning rate of each epoch. Epochs count from 0; the rate
// is constant within an epoch, as when PyTorch's scheduler.step() is called
// once per epoch.
//
//   - cosine: CosineAnnealingLR, eta_min + (lr - eta_min)(1 + cos(pi e / T_max))/2.
//     Beyond T_max it rises again, as in PyTorch.
//   - step: StepLR, lr * gamma^(e div step_size).
//   - none: lr.
//
// In the first WarmupEpochs the rate is instead that of
// LinearLR(start_factor=1/(W+1), total_iters=W): lr (e+1)/(W+1). The warm-up
// replaces the beginning of the schedule and does not shift it, so a cosine
// still ends with the training.
type Schedule struct {
	Type         string  // cosine | step | none
	LearningRate float64 // the base rate
	TMax         int     // epochs, cosine only; 0 is Epochs
	EtaMin       float64 // cosine only
	StepSize     int     // epochs, step only
	Gamma        float64 // step only
	WarmupEpochs int
	Epochs       int // length of the training
}

// Schedules are the names that Schedule.Type may have.
var Schedules = []string{"cosine", "step", "none"}

// Check reports the first field that makes no sense.
func (s Schedule) Check() error {
	switch {
	case !(s.LearningRate >= 0) || math.IsInf(s.LearningRate, 0):
		return fmt.Errorf("schedule: learning rate %v is not a finite number of at least 0", s.LearningRate)
	case s.WarmupEpochs < 0:
		return fmt.Errorf("schedule: warmup_epochs is %d, want at least 0", s.WarmupEpochs)
	}
	switch s.Type {
	case "cosine":
		if s.tMax() < 1 {
			return fmt.Errorf("schedule: T_max is %d and epochs is %d, want at least 1 of either", s.TMax, s.Epochs)
		}
	case "step":
		if s.StepSize < 1 {
			return fmt.Errorf("schedule: step_size is %d, want at least 1", s.StepSize)
		}
		if !(s.Gamma >= 0) {
			return fmt.Errorf("schedule: gamma is %v, want at least 0", s.Gamma)
		}
	case "none":
	default:
		return fmt.Errorf("schedule: unknown type %q, want one of %s", s.Type, strings.Join(Schedules, ", "))
	}
	return nil
}

// At returns the learning rate of an epoch.
func (s Schedule) At(epoch int) float64 {
	if epoch < s.WarmupEpochs {
		return s.LearningRate * float64(epoch+1) / float64(s.WarmupEpochs+1)
	}
	switch s.Type {
	case "cosine":
		if s.tMax() < 1 {
			return s.LearningRate
		}
		angle := math.Pi * float64(epoch) / float64(s.tMax())
		return s.EtaMin + (s.LearningRate-s.EtaMin)*(1+math.Cos(angle))/2
	case "step":
		if s.StepSize < 1 {
			return s.LearningRate
		}
		return s.LearningRate * math.Pow(s.Gamma, float64(epoch/s.StepSize))
	}
	return s.LearningRate
}

func (s Schedule) tMax() int {
	if s.TMax != 0 {
		return s.TMax
	}
	return s.Epochs
}
