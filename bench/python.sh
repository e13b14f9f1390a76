# Sourced by the benchmark scripts: sets PYTHON to an interpreter that has
# PyTorch and timm, making a virtual environment for it in the user cache once.
# BENCH_PYTHON names another interpreter.
if [ -n "${BENCH_PYTHON:-}" ]; then
  PYTHON=$BENCH_PYTHON
else
  venv=${XDG_CACHE_HOME:-$HOME/.cache}/trainwright/bench-venv
  PYTHON=$venv/bin/python
  if ! "$PYTHON" -c 'import torch, timm, safetensors' 2>/dev/null; then
    echo "installing torch, timm and safetensors into $venv" >&2
    python3 -m venv "$venv"
    "$PYTHON" -m pip install --quiet torch timm safetensors numpy
  fi
fi
