package ort

import "runtime"

// Version is the ONNX Runtime release that this module is built and tested
// with: the one place that pins it, together with wheels below.
const Version = "1.32.0"

// GPUVersion is the release of the Python package onnxruntime-gpu, which
// carries the library with the CUDA provider; it comes out after Version's.
const GPUVersion = "1.31.1"

// wheel is a published Python package that carries the library.
type wheel struct {
	platform string   // pip's platform tag
	sha256   string   // of the .whl file
	library  string   // file name of the library inside onnxruntime/capi/
	files    []string // all files taken from onnxruntime/capi/
}

// wheels are the packages of Version by GOOS/GOARCH.
var wheels = map[string]wheel{
	"linux/amd64": {
		platform: "manylinux_2_28_x86_64",
		sha256:   "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
		library:  "libonnxruntime.so." + Version,
		files:    []string{"libonnxruntime.so." + Version, "libonnxruntime_providers_shared.so"},
	},
	"linux/arm64": {
		platform: "manylinux_2_28_aarch64",
		sha256:   "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
		library:  "libonnxruntime.so." + Version,
		files:    []string{"libonnxruntime.so." + Version, "libonnxruntime_providers_shared.so"},
	},
	"darwin/arm64": {
		platform: "macosx_14_0_arm64",
		sha256:   "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
		library:  "libonnxruntime." + Version + ".dylib",
		files:    []string{"libonnxruntime." + Version + ".dylib"},
	},
}

// thisWheel returns the wheel of the platform this binary runs on.
func thisWheel() (wheel, bool) {
	w, ok := wheels[runtime.GOOS+"/"+runtime.GOARCH]
	return w, ok
}
