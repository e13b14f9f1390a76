"""Prints the table of bench/accuracy.sh; fails where the mean accuracies differ
by more than one point and more than two standard errors."""
import json
import math
import statistics
import sys

runs = [json.loads(line) for line in open(sys.argv[1])]
missed = 0
for model in dict.fromkeys(r["model"] for r in runs):
    side = {s: [100 * r["accuracy"] for r in runs if r["model"] == model and r["side"] == s] for s in ("native", "torch")}
    gap = statistics.mean(side["native"]) - statistics.mean(side["torch"])
    error = math.sqrt(sum(statistics.variance(v) / len(v) for v in side.values() if len(v) > 1))
    limit = max(1.0, 2 * error)
    ok = abs(gap) <= limit
    missed += not ok
    for s, v in side.items():
        print(f"{model:10} {s:7} mean {statistics.mean(v):6.2f} %   {' '.join(f'{a:.2f}' for a in v)}")
    print(f"{model:10} difference {gap:+.2f} points, standard error {error:.2f}, limit {limit:.2f}: {'met' if ok else 'MISSED'}")
sys.exit(missed > 0)
