#!/usr/bin/env bash
# Validation accuracy against PyTorch: the same pixels, initial weights, batch
# order and hyperparameters, no augmentation.
# Usage: bench/accuracy.sh DATA, an imagefolder of 32 px images with train/ and
# val/, or a .tar.gz of one. The default is ../shared/data/cifar10-small.tar.gz.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data/cifar10-small.tar.gz}
[ -e "$data" ] || { echo "bench/accuracy.sh: $data is not there; give an imagefolder with train/ and val/" >&2; exit 1; }
. bench/python.sh
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
if [ -f "$data" ]; then
  mkdir "$out/data"
  tar -xzf "$data" -C "$out/data" --strip-components=1
  data=$out/data
fi
go build -o "$out/accuracy" ./bench/accuracy
one() { # MODEL SEED FLAG...
  local run=$out/$1-$2
  "$out/accuracy" -data "$data" -out "$run" -model "$1" -seed "$2" "${@:3}" | tee -a "$out/results"
  "$PYTHON" bench/accuracy.py "$run" | tee -a "$out/results"
  rm -rf "$run"
}
for seed in ${CONVNET_SEEDS:-1 2 3 4 5}; do
  one convnet "$seed" -epochs "${EPOCHS:-8}" -optimizer adamw -lr 2e-3 -weight-decay 0.01
done
for seed in ${RESNET_SEEDS:-1 2}; do
  one resnet18 "$seed" -epochs "${EPOCHS:-8}" -optimizer sgd -lr 0.02 -weight-decay 5e-4
done
"$PYTHON" bench/accuracy_table.py "$out/results"
