"""Prints the table of bench/run.sh and fails when a target is missed."""
import json
import sys

TARGETS = {"resnet18": 0.45, "vit_tiny_patch16_224": 0.85}  # images/s against PyTorch's best mode
MEMORY = 1.3  # peak memory against the same mode

best = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    sides = best.setdefault(r["model"], {})
    if r["side"] not in sides or r["best"] > sides[r["side"]]["best"]:
        sides[r["side"]] = r
missed = 0
for model, sides in best.items():
    print(f"\n{model:24}{'images/s':>10}{'median':>10}{'cpu s/step':>12}{'first step':>12}{'peak MB':>10}")
    for side, r in sides.items():
        print(f"  {side:22}{r['best']:10.1f}{r['median']:10.1f}{r['cpu_s']:12.2f}{r['first_step_s']:10.1f} s{r['peak_mb']:10d}")
    native = sides["native"]
    torch = max((r for s, r in sides.items() if s != "native"), key=lambda r: r["best"])
    speed, memory = native["best"] / torch["best"], native["peak_mb"] / torch["peak_mb"]
    ok = speed >= TARGETS.get(model, 0) and memory <= MEMORY
    missed += not ok
    least = min(r["cpu_s"] for s, r in sides.items() if s != "native")
    print(f"  a step takes {native['cpu_s'] / least:.2f}x the processor time of PyTorch's least")
    print(f"  native is {speed:.2f}x the images/s (target {TARGETS.get(model, 0)}) and {memory:.2f}x the memory (target {MEMORY}) of {torch['side']}: {'met' if ok else 'MISSED'}")
sys.exit(missed > 0)
