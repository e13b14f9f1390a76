"""Writes schedules.json and optimizers.json with torch.optim (pip install torch).

Run from this folder. The inputs are drawn by the recipe in `values`, which the
Go test repeats, so only results are stored.
"""
import json
import torch
from torch.optim import lr_scheduler as S


def schedules():
    out = []

    def add(name, make, epochs, lr=0.1, warmup=0, **fields):
        def run(build):
            opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
            sched, rates = build(opt), []
            for _ in range(epochs):
                rates.append(opt.param_groups[0]["lr"])
                opt.step()
                sched.step()
            return rates
        rates = run(make)
        if warmup:
            rates[:warmup] = run(lambda o: S.LinearLR(o, 1 / (warmup + 1), total_iters=warmup))[:warmup]
        out.append({"Name": name, "Schedule": dict(LearningRate=lr, Epochs=epochs, WarmupEpochs=warmup, **fields), "LR": rates})

    add("cosine", lambda o: S.CosineAnnealingLR(o, 10), 10, Type="cosine")
    add("cosine T_max eta_min", lambda o: S.CosineAnnealingLR(o, 7, 1e-3), 20, Type="cosine", TMax=7, EtaMin=1e-3)
    add("cosine warmup", lambda o: S.CosineAnnealingLR(o, 12, 1e-6), 12, 3e-3, 3, Type="cosine", EtaMin=1e-6)
    add("step", lambda o: S.StepLR(o, 4, 0.3), 13, Type="step", StepSize=4, Gamma=0.3)
    add("step warmup", lambda o: S.StepLR(o, 2, 0.5), 8, 1e-2, 5, Type="step", StepSize=2, Gamma=0.5)
    add("none", lambda o: S.LambdaLR(o, lambda e: 1.0), 4, Type="none")
    add("none warmup", lambda o: S.LambdaLR(o, lambda e: 1.0), 6, 1.0, 4, Type="none")
    json.dump(out, open("schedules.json", "w"), indent=0)


def values(step, name, n):
    """n float32 numbers in [-1, 1) that depend on the step and name only."""
    h = sum(ord(c) for c in name) + 1000 * step
    return torch.tensor([((h * 7919 + i * 104729) % 2003) / 1001.5 - 1 for i in range(n)], dtype=torch.float32)


def optimizers():
    cases = {
        "adam": (torch.optim.Adam, dict(), dict()),
        "adam wd": (torch.optim.Adam, dict(weight_decay=0.1, betas=(0.8, 0.95), eps=1e-4), dict(WeightDecay=0.1, Beta1=0.8, Beta2=0.95, Eps=1e-4)),
        "adamw": (torch.optim.AdamW, dict(weight_decay=0.05), dict(WeightDecay=0.05)),
        "sgd": (torch.optim.SGD, dict(), dict()),
        "sgd momentum": (torch.optim.SGD, dict(momentum=0.9, weight_decay=0.01), dict(Momentum=0.9, WeightDecay=0.01)),
        "sgd nesterov": (torch.optim.SGD, dict(momentum=0.8, nesterov=True, weight_decay=0.02), dict(Momentum=0.8, Nesterov=True, WeightDecay=0.02)),
    }
    shapes = {"a.weight": [3, 4], "a.bias": [3]}
    out = []
    for name, (make, args, fields) in cases.items():
        for clip in (0.0, 0.5):
            params = {k: torch.nn.Parameter(values(0, k, torch.Size(s).numel()).reshape(s).clone()) for k, s in shapes.items()}
            opt = make(params.values(), lr=0.1, **args)
            norms = []
            for step in range(1, 6):
                for group in opt.param_groups:
                    group["lr"] = 0.1 / step
                for k, p in params.items():
                    p.grad = values(step, k, p.numel()).reshape(p.shape).clone()
                if clip:
                    norms.append(torch.nn.utils.clip_grad_norm_(params.values(), clip).item())
                opt.step()
            out.append({"Name": name, "Type": name.split()[0], "Config": fields, "Clip": clip, "Norms": norms,
                        "Params": {k: p.detach().flatten().tolist() for k, p in params.items()}})
    json.dump(out, open("optimizers.json", "w"), indent=0)


schedules()
optimizers()
