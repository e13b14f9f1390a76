package pipelines

// DatasetIndex lists a dataset's samples, as planned: what trains is exactly this.
type DatasetIndex struct {
	Name        string              `json:"name"`
	Format      string              `json:"format"`
	Fingerprint string              `json:"fingerprint"` // "sha256:…" over names and contents
	Classes     []string            `json:"classes"`     // index = label
	Splits      map[string][]Sample `json:"splits"`      // train, val, test
}

// Sample is one image and its label.
type Sample struct {
	Path  string `json:"p"` // absolute
	Label int    `json:"l"` // index into Classes
}

// DatasetReport is what inspection found.
type DatasetReport struct {
	Name        string                    `json:"name"`
	Path        string                    `json:"path"`
	Format      string                    `json:"format"`
	Fingerprint string                    `json:"fingerprint"`
	Classes     []string                  `json:"classes"`
	Counts      map[string]map[string]int `json:"counts"` // split -> class -> images
	Images      int                       `json:"images"`
	Bytes       int64                     `json:"bytes"`
	MinSize     [2]int                    `json:"min_size"` // width, height in pixels
	MaxSize     [2]int                    `json:"max_size"`
	Corrupt     []FileProblem             `json:"corrupt,omitempty"`
	Leaks       []Leak                    `json:"leaks,omitempty"`
	Ignored     map[string]int            `json:"ignored,omitempty"` // files that are no known image type: extension -> count
	Duplicates  int                       `json:"duplicates"`        // extra copies within a split
}

// FileProblem is a file that cannot be used, and why.
type FileProblem struct {
	Path  string `json:"path"`
	Kind  string `json:"kind"` // unreadable | not_image | corrupt | bomb
	Error string `json:"error"`
}

// Leak is one content that stands in two splits.
type Leak struct {
	SHA256 string   `json:"sha256"`
	Paths  []string `json:"paths"`
	Splits []string `json:"splits"`
}
