package pipelines

import "encoding/json"

type resultPlain Result

type resultJSON struct {
	resultPlain
	Metrics     floats     `json:"metrics,omitempty"`
	LastMetrics floats     `json:"last_metrics,omitempty"`
	PerClass    floatTable `json:"per_class,omitempty"`
}

// MarshalJSON writes not finite numbers as strings.
func (r Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(resultJSON{resultPlain(r), r.Metrics, r.LastMetrics, r.PerClass})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (r *Result) UnmarshalJSON(b []byte) error {
	var in resultJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = Result(in.resultPlain)
	r.Metrics, r.LastMetrics, r.PerClass = in.Metrics, in.LastMetrics, in.PerClass
	return nil
}

type checkpointPlain Checkpoint

type checkpointJSON struct {
	checkpointPlain
	Metrics floats `json:"metrics,omitempty"`
}

// MarshalJSON writes not finite numbers as strings.
func (c Checkpoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkpointJSON{checkpointPlain(c), c.Metrics})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *Checkpoint) UnmarshalJSON(b []byte) error {
	var in checkpointJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*c = Checkpoint(in.checkpointPlain)
	c.Metrics = in.Metrics
	return nil
}
