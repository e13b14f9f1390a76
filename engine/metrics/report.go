package metrics

// Report is what a Classifier found.
type Report struct {
	Samples   int     `json:"samples"`
	Loss      float64 `json:"loss"`     // mean
	Accuracy  float64 `json:"accuracy"` // top-1
	Top5      float64 `json:"top5"`     // 1 with five classes or fewer
	PerClass  []Class `json:"per_class"`
	Macro     Class   `json:"macro"`     // unweighted means over classes; its support is their sum
	Confusion [][]int `json:"confusion"` // [true label][predicted label]
}

// Class is how one class fared.
type Class struct {
	Precision float64 `json:"precision"` // right among those predicted to be it
	Recall    float64 `json:"recall"`    // found among those that are it
	F1        float64 `json:"f1"`        // harmonic mean of both
	Support   int     `json:"support"`   // samples of it
}

// Report computes the metrics of all samples so far; without samples they are 0.
func (c *Classifier) Report() Report {
	r := Report{Samples: c.Samples, PerClass: make([]Class, c.Classes), Confusion: make([][]int, c.Classes)}
	predicted := make([]int, c.Classes)
	right := 0
	for label, row := range c.Confusion {
		r.Confusion[label] = append([]int(nil), row...)
		right += row[label]
		for p, n := range row {
			predicted[p] += n
			r.PerClass[label].Support += n
		}
	}
	for label := range r.PerClass {
		p := &r.PerClass[label]
		hits := c.Confusion[label][label]
		p.Precision = ratio(float64(hits), float64(predicted[label]))
		p.Recall = ratio(float64(hits), float64(p.Support))
		p.F1 = ratio(float64(2*hits), float64(predicted[label]+p.Support))
		r.Macro.Precision += p.Precision / float64(c.Classes)
		r.Macro.Recall += p.Recall / float64(c.Classes)
		r.Macro.F1 += p.F1 / float64(c.Classes)
		r.Macro.Support += p.Support
	}
	r.Loss = ratio(c.LossSum, float64(c.Samples))
	r.Accuracy = ratio(float64(right), float64(c.Samples))
	r.Top5 = ratio(float64(c.Top5Hits), float64(c.Samples))
	return r
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
