package pipelines

// DatasetIndex lists a dataset's samples, as planned: what trains is exactly this.
type DatasetIndex struct {
	Name        string              `json:"name"`
	Format      string              `json:"format"`
	Fingerprint string              `json:"fingerprint"` // "sha256:…" over names and contents
	Classes     []string            `json:"classes"`     // index = label
	Splits      map[string][]Sample `json:"splits"`      // train, val, test
	Keypoints   *Keypoints          `json:"keypoints,omitempty"`
}

// Sample is one image: of a class, or with objects in boxes.
type Sample struct {
	Path   string `json:"p"`           // absolute
	Label  int    `json:"l"`           // index into Classes; 0 where Boxes tell the classes
	Width  int    `json:"w,omitempty"` // in pixels, of images with boxes
	Height int    `json:"h,omitempty"`
	Boxes  []Box  `json:"b,omitempty"` // none in an image with a size: background
}

// Box is one object of an image. Coordinates are in pixels from the image's
// top left corner.
type Box struct {
	Label     int         `json:"l"`           // index into Classes
	Rect      [4]float64  `json:"x"`           // left, top, width, height
	Polygons  [][]float64 `json:"s,omitempty"` // outlines: x1, y1, x2, y2, …
	Keypoints []float64   `json:"k,omitempty"` // x, y, visibility (0 | 1 | 2) for each point
	Crowd     bool        `json:"crowd,omitempty"`
}

// Keypoints says which points the objects of a dataset have.
type Keypoints struct {
	Count int   `json:"count"`
	Flip  []int `json:"flip,omitempty"` // index of each point's mirror image
}

// DatasetReport is what inspection found.
type DatasetReport struct {
	Name        string                    `json:"name"`
	Path        string                    `json:"path"`
	Format      string                    `json:"format"`
	Fingerprint string                    `json:"fingerprint"`
	Classes     []string                  `json:"classes"`
	Counts      map[string]map[string]int `json:"counts"`          // split -> class -> images (with boxes: that show it)
	Boxes       map[string]map[string]int `json:"boxes,omitempty"` // split -> class -> boxes
	Splits      map[string]int            `json:"splits"`          // images in each split
	Images      int                       `json:"images"`
	Bytes       int64                     `json:"bytes"`
	MinSize     [2]int                    `json:"min_size"` // width, height in pixels
	MaxSize     [2]int                    `json:"max_size"`
	Corrupt     []FileProblem             `json:"corrupt,omitempty"`
	Leaks       []Leak                    `json:"leaks,omitempty"`
	Ignored     map[string]int            `json:"ignored,omitempty"` // files that are no known image type: extension -> count
	Duplicates  int                       `json:"duplicates"`        // extra copies within a split
}

// FileProblem is a file, or a line of one, that cannot be used, and why.
type FileProblem struct {
	Path  string `json:"path"`
	Line  int    `json:"line,omitempty"` // of a label file, counted from 1
	Kind  string `json:"kind"`           // unreadable | not_image | corrupt | bomb | annotation | missing_image
	Error string `json:"error"`
}

// Leak is one content that stands in two splits.
type Leak struct {
	SHA256 string   `json:"sha256"`
	Paths  []string `json:"paths"`
	Splits []string `json:"splits"`
}
