// Package weights moves model weights between files, the model hub and a
// model's parameters.
//
// The file format is safetensors (an 8-byte little-endian header length, a JSON
// header, then raw tensor bytes), read and written here without any other
// library: [Parse], [Open], [Encode] and [Save]. [Match] fits a file onto the
// parameters that a model declares, strictly, and reports what it found.
// [Frozen] resolves freeze patterns. [Hub] downloads one file from the model
// hub into the user's cache and names its SHA-256, so that it can be pinned.
package weights
