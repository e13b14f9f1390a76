package pipelines

import "encoding/json"

// The types below shadow the fields of their namesakes that hold measured
// numbers, so that NaN and infinities survive JSON (see float.go).

type progressPlain Progress

type progressJSON struct {
	progressPlain
	Loss            Float `json:"loss"`
	ImagesPerSecond Float `json:"images_per_second"`
	ETASeconds      Float `json:"eta_seconds"`
}

// MarshalJSON writes not finite numbers as strings.
func (p Progress) MarshalJSON() ([]byte, error) {
	return json.Marshal(progressJSON{progressPlain(p), Float(p.Loss), Float(p.ImagesPerSecond), Float(p.ETASeconds)})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *Progress) UnmarshalJSON(b []byte) error {
	var in progressJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*p = Progress(in.progressPlain)
	p.Loss, p.ImagesPerSecond, p.ETASeconds = float64(in.Loss), float64(in.ImagesPerSecond), float64(in.ETASeconds)
	return nil
}

type metricsPlain Metrics

type metricsJSON struct {
	metricsPlain
	Values floats `json:"values"`
}

// MarshalJSON writes not finite numbers as strings.
func (m Metrics) MarshalJSON() ([]byte, error) {
	return json.Marshal(metricsJSON{metricsPlain(m), m.Values})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (m *Metrics) UnmarshalJSON(b []byte) error {
	var in metricsJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*m = Metrics(in.metricsPlain)
	m.Values = in.Values
	return nil
}

type validationPlain Validation

type validationJSON struct {
	validationPlain
	PrimaryValue Float      `json:"primary_metric_value"`
	Loss         Float      `json:"overall_loss"`
	Metrics      floats     `json:"metrics"`
	PerClass     floatTable `json:"per_class_metrics,omitempty"`
}

// MarshalJSON writes not finite numbers as strings.
func (v Validation) MarshalJSON() ([]byte, error) {
	return json.Marshal(validationJSON{validationPlain(v), Float(v.PrimaryValue), Float(v.Loss), v.Metrics, v.PerClass})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (v *Validation) UnmarshalJSON(b []byte) error {
	var in validationJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*v = Validation(in.validationPlain)
	v.PrimaryValue, v.Loss = float64(in.PrimaryValue), float64(in.Loss)
	v.Metrics, v.PerClass = in.Metrics, in.PerClass
	return nil
}

type samplePlain SamplePrediction

type sampleJSON struct {
	samplePlain
	Confidence Float `json:"confidence"`
	Loss       Float `json:"loss"`
}

// MarshalJSON writes not finite numbers as strings.
func (s SamplePrediction) MarshalJSON() ([]byte, error) {
	return json.Marshal(sampleJSON{samplePlain(s), Float(s.Confidence), Float(s.Loss)})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (s *SamplePrediction) UnmarshalJSON(b []byte) error {
	var in sampleJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = SamplePrediction(in.samplePlain)
	s.Confidence, s.Loss = float64(in.Confidence), float64(in.Loss)
	return nil
}

type stepResultPlain StepResult

type stepResultJSON struct {
	stepResultPlain
	Metrics     floats     `json:"metrics,omitempty"`
	LastMetrics floats     `json:"last_metrics,omitempty"`
	PerClass    floatTable `json:"per_class,omitempty"`
}

// MarshalJSON writes not finite numbers as strings.
func (r StepResult) MarshalJSON() ([]byte, error) {
	return json.Marshal(stepResultJSON{stepResultPlain(r), r.Metrics, r.LastMetrics, r.PerClass})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (r *StepResult) UnmarshalJSON(b []byte) error {
	var in stepResultJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = StepResult(in.stepResultPlain)
	r.Metrics, r.LastMetrics, r.PerClass = in.Metrics, in.LastMetrics, in.PerClass
	return nil
}
