"""Times training steps on a GPU against PyTorch AMP; bench/gpu.sh runs it.

The sides take turns, each in a fresh process, so that a card that slows down
slows all. Memory is what the card says is in use at most, less what was in use
before. With --dry everything is tiny and on the CPU: that the command works is
known then, and nothing else.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

MODELS = {"resnet50": "sgd", "vit_small_patch16_224": "adamw", "convnext_tiny": "adamw"}
MODES = ["channels_last", "channels_last_compile"]
HERE = Path(__file__).parent


def card(query, index):
    """What nvidia-smi says of the card; "" without it."""
    if not shutil.which("nvidia-smi"):
        return ""
    out = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", f"--id={index}"], capture_output=True, text=True)
    return out.stdout.strip() if out.returncode == 0 else ""


class Peak(threading.Thread):
    """Asks for the memory in use until it is told to stop."""

    def __init__(self, index):
        super().__init__(daemon=True)
        self.index, self.done, self.before, self.most = index, threading.Event(), self.used(index), 0

    @staticmethod
    def used(index):
        text = card("memory.used", index)
        return int(text) if text.isdigit() else 0

    def run(self):
        while not self.done.wait(0.1):
            self.most = max(self.most, self.used(self.index))

    def stop(self):
        self.done.set()
        self.join()
        return max(self.most - self.before, 0)


def measure(argv, index):
    """Runs one side; its result, or why there is none."""
    peak = Peak(index)
    peak.start()
    out = subprocess.run(argv, capture_output=True, text=True)
    memory = peak.stop()
    if out.returncode != 0:
        return None, (out.stderr.strip() or "no message").splitlines()[-1]
    r = json.loads(out.stdout.strip().splitlines()[-1])
    r["card_mb"] = memory
    return r, None


def sides(a, model, optimizer):
    common = ["--model", model, "--size", str(a.size), "--batch", str(a.batch), "--optimizer", optimizer, "--steps", str(a.steps), "--device", a.device]
    yield "native", [a.native, *common, "--mixed"]
    for mode in MODES:
        backend = ["--backend", "aot_eager"] if a.dry else []
        yield f"torch {mode} amp", [sys.executable, str(HERE / "steps.py"), *common, "--mode", mode, "--amp", a.amp, *backend]


def table(model, rows, failed):
    """Prints a model's results; whether every side has one."""
    print(f"\n{model:36}{'precision':>10}{'images/s':>10}{'median':>10}{'first step':>12}{'card MB':>9}{'host MB':>9}")
    for side, results in rows.items():
        if not results:
            print(f"  {side:34}failed: {failed[side]}")
            continue
        best = max(results, key=lambda r: r["best"])
        median = statistics.median(r["median"] for r in results)
        rows[side] = {"best": best["best"], "median": median, "mb": max(r["card_mb"] for r in results)}
        print(f"  {side:34}{best['precision']:>10}{best['best']:10.1f}{median:10.1f}{min(r['first_step_s'] for r in results):10.1f} s"
              f"{rows[side]['mb']:9d}{best['peak_mb']:9d}")
    native = rows.pop("native")
    others = {side: r for side, r in rows.items() if r}
    if native and others:
        side = max(others, key=lambda s: others[s]["median"])
        memory = f"{native['mb'] / others[side]['mb']:.2f}x the memory" if others[side]["mb"] else "memory unknown (no nvidia-smi)"
        print(f"  native: {native['median'] / others[side]['median']:.2f}x the images/s by median ({native['best'] / others[side]['best']:.2f}x by best), {memory} of {side}")
    return bool(native) and len(others) == len(rows)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--native", required=True, help="the program bench/steps")
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--models", default=",".join(MODELS))
    p.add_argument("--amp", default="float16", choices=["float16", "bfloat16"])
    p.add_argument("--results", help="also append each result to this file, one line of JSON each")
    p.add_argument("--dry", action="store_true")
    a = p.parse_args()
    if a.dry:
        a.device, a.size, a.batch, a.steps, a.rounds = "cpu", 32, 2, 1, 1
    index = a.device.partition(":")[2] or "0"
    about = {"card": card("name,driver_version,memory.total", index) or "none", "device": a.device, "batch": a.batch, "size": a.size,
             "rounds": a.rounds, "steps": a.steps, "library": os.environ.get("RUNNER_ORT_LIB", "found by the program")}
    print(json.dumps(about))
    whole = True
    for model in a.models.split(","):
        rows, failed = {}, {}
        for turn in range(a.rounds):
            for side, argv in sides(a, model, MODELS[model]):
                began = time.monotonic()
                r, why = measure(argv, index)
                rows.setdefault(side, [])
                if r:
                    rows[side].append(r)
                    if a.results:
                        with open(a.results, "a") as f:
                            f.write(json.dumps(r | {"side": side, "round": turn + 1} | about) + "\n")
                else:
                    failed[side] = why
                print(f"round {turn + 1} of {a.rounds}: {model}, {side}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        whole = table(model, rows, failed) and whole
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
