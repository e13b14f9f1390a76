package train

import (
	"fmt"
	"strconv"
	"strings"
)

// Environment variables of training on CUDA.
const (
	// EnvCUDAOptions are options of ONNX Runtime's CUDA provider:
	// "gpu_mem_limit=8589934592,cudnn_conv_algo_search=HEURISTIC". The limit is
	// in bytes.
	EnvCUDAOptions = "RUNNER_CUDA_OPTIONS"
	// EnvCUDAFallback = "1" allows operators that the CUDA provider does not
	// take to run on the CPU. Without it a graph with such an operator is refused.
	EnvCUDAFallback = "RUNNER_CUDA_FALLBACK"
)

// cudaOptions are the provider's options and the session's for a device. An
// option that the provider does not know is its error, when a session is made.
func cudaOptions(id int, env func(string) string) (provider, session map[string]string, err error) {
	provider = map[string]string{"device_id": strconv.Itoa(id)}
	for _, part := range strings.Split(env(EnvCUDAOptions), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || value == "":
			return nil, nil, fmt.Errorf("%s: %q is not NAME=VALUE", EnvCUDAOptions, part)
		case name == "device_id":
			return nil, nil, fmt.Errorf("%s: the device is chosen by device = \"cuda:N\"", EnvCUDAOptions)
		case name == "gpu_mem_limit":
			if n, err := strconv.ParseUint(value, 10, 64); err != nil || n == 0 {
				return nil, nil, fmt.Errorf("%s: gpu_mem_limit is a number of bytes, not %q", EnvCUDAOptions, value)
			}
		}
		provider[name] = value
	}
	if env(EnvCUDAFallback) != "1" {
		session = map[string]string{"session.disable_cpu_ep_fallback": "1"}
	}
	return provider, session, nil
}

// fallbackAdvice says what to do when a session was refused for operators on the CPU.
func fallbackAdvice(err error) error {
	if err == nil || !strings.Contains(err.Error(), "fallback to CPU EP has been explicitly disabled") {
		return err
	}
	return fmt.Errorf("%w; the CUDA provider does not take all operators of this graph. Set %s=1 to run those on the CPU, which is slow, or train with device = \"cpu\"", err, EnvCUDAFallback)
}

// libraryAdvice says what to do when the provider did not find what it loads.
func libraryAdvice(err error) error {
	switch text := err.Error(); {
	case !strings.Contains(text, "cannot open shared object file"):
		return err
	case strings.Contains(text, "libcuda.so"):
		return fmt.Errorf("%w; install the NVIDIA driver: nvidia-smi must work", err)
	}
	return fmt.Errorf("%w; install the CUDA libraries and cuDNN that it names (pip install 'onnxruntime-gpu[cuda,cudnn]' brings them) and name their folders in LD_LIBRARY_PATH", err)
}
