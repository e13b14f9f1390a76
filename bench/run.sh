#!/usr/bin/env bash
# Images per second and peak memory of a training step against PyTorch. The
# sides take turns, so that a machine that slows down slows both; the best step
# of all rounds counts. Usage: bench/run.sh [ROUNDS]; BENCH_COMPILE=1 adds
# torch.compile.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/python.sh
rounds=${1:-3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go build -o "$out/steps" ./bench/steps
modes="contiguous channels_last"
[ -z "${BENCH_COMPILE:-}" ] || modes="$modes compile"
for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  while read -r model size batch optimizer; do
    args="--model $model --size $size --batch $batch --optimizer $optimizer --steps ${BENCH_STEPS:-6}"
    "$out/steps" $args >>"$out/results"
    for mode in $modes; do
      "$PYTHON" bench/steps.py $args --mode "$mode" >>"$out/results"
    done
  done <<END
resnet18 224 32 sgd
vit_tiny_patch16_224 224 16 adamw
END
done
"$PYTHON" bench/compare.py "$out/results"
