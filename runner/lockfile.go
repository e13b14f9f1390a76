package runner

// LockFileName is the committed file that pins what a pipeline was run with.
const LockFileName = ".runner.lock.hcl"

// LockFile pins adapters by version, weights and datasets by hash.
type LockFile struct {
	Adapters map[string]AdapterPin
	Datasets map[string]string // name -> fingerprint
	Weights  map[string]string // path relative to the pipeline, or a model's name -> "sha256:…"
}

// AdapterPin is an adapter as it was used last.
type AdapterPin struct {
	Version  string
	Numerics int
	Lock     string // requirements hash
}
