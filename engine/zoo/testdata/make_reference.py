"""Writes forward.json and trajectories.json with PyTorch and timm (pip install torch timm).

Run from this folder. Weights and batches are drawn by the recipe in `draw`,
which the Go test repeats bit for bit, so only logits and losses are stored.
`--agree` also prints how far PyTorch's own memory layouts and float64 lie
apart, which is what a tolerance can be at best.
"""
import json
import sys

import numpy as np
import timm
import torch
import torch.nn.functional as F

CLASSES, SIZE, BATCH, STEPS, BATCHES = 10, 48, 8, 20, 4
MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def draw(name, n):
    """n float64 numbers in [-1, 1), multiples of 2^-23: splitmix64 over fnv1a(name) + i."""
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1


def weight(name, shape):
    n = int(np.prod(shape))
    u = draw(name, n)
    if name in ("cls_token", "pos_embed"):
        v = 0.02 * u
    elif len(shape) >= 2:
        fan_in = n // shape[0]
        v = np.sqrt((6 if len(shape) == 4 else 3) / fan_in) * u
    elif name.endswith(".running_mean"):
        v = 0.1 * u
    elif name.endswith(".running_var"):
        v = 1 + 0.3 * u
    elif name.endswith(".weight"):
        v = 1 + 0.1 * u
    else:
        v = 0.1 * u
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


class ConvNet(torch.nn.Module):
    """The zoo's own small network."""

    def __init__(self, num_classes):
        super().__init__()
        nn, width, stages = torch.nn, 3, []
        for out in (32, 64, 128):
            stages.append(nn.ModuleDict({"conv1": nn.Conv2d(width, out, 3, padding=1, bias=False), "bn1": nn.BatchNorm2d(out),
                                         "conv2": nn.Conv2d(out, out, 3, padding=1, bias=False), "bn2": nn.BatchNorm2d(out)}))
            width = out
        self.stages = nn.ModuleList(stages)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        for s in self.stages:
            x = F.relu(s["bn1"](s["conv1"](x)))
            x = F.max_pool2d(F.relu(s["bn2"](s["conv2"](x))), 2)
        return self.fc(x.mean((2, 3)))


def model(name):
    if name == "convnet":
        m = ConvNet(CLASSES)
    elif name.startswith("vit"):
        m = timm.create_model(name, num_classes=CLASSES, img_size=SIZE)
    else:
        m = timm.create_model(name, num_classes=CLASSES)
    state = m.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            state[key] = weight(key, tuple(value.shape))
    m.load_state_dict(state)
    return m


def batch(b, n=BATCH):
    x = 1.7 * draw(f"x{b}", n * 3 * SIZE * SIZE)
    y = (draw(f"y{b}", n) + 1) / 2 * CLASSES
    return torch.from_numpy(x.astype(np.float32).reshape(n, 3, SIZE, SIZE)), torch.from_numpy(y.astype(np.int64))


def optimizer(name, params, lr):
    if name == "sgd":
        return torch.optim.SGD(params, lr, momentum=0.9, weight_decay=1e-4)
    if name == "adam":
        return torch.optim.Adam(params, lr)
    return torch.optim.AdamW(params, lr, weight_decay=0.05)


def train(name, opt, lr, smoothing, layout=torch.contiguous_format, dtype=torch.float32):
    m = model(name).to(dtype).to(memory_format=layout).train()
    o = optimizer(opt, m.parameters(), lr)
    losses = []
    for step in range(STEPS):
        x, y = batch(step % BATCHES)
        x = x.to(dtype).contiguous(memory_format=layout)
        o.zero_grad()
        loss = F.cross_entropy(m(x), y, label_smoothing=smoothing)
        loss.backward()
        o.step()
        losses.append(loss.item())
    return losses


RATES = {
    "convnet": {"adamw": 3e-4},
    "resnet18": {"sgd": 1e-3, "adam": 1e-5, "adamw": 1e-5},
    "mobilenetv3_small_100": {"sgd": 5e-3, "adam": 1e-4, "adamw": 1e-4},
    "vit_tiny_patch16_224": {"sgd": 1e-3, "adam": 1e-4, "adamw": 1e-4},
    "vit_small_patch16_224": {"adamw": 1e-4},
    "convnext_tiny": {"sgd": 1e-3, "adam": 1e-4, "adamw": 1e-4},
}


def main():
    torch.set_num_threads(1)
    forward = {}
    for name in ["convnet", "resnet18", "resnet34", "resnet50", "mobilenetv3_small_100", "vit_tiny_patch16_224", "vit_small_patch16_224", "convnext_tiny"]:
        with torch.no_grad():
            forward[name] = model(name).eval()(batch(0, 2)[0]).flatten().tolist()
    json.dump(forward, open("forward.json", "w"), indent=0)
    out = []
    for name, rates in RATES.items():
        for opt, lr in rates.items():
            smoothing = 0.1 if opt == "adamw" else 0.0
            losses = train(name, opt, lr, smoothing)
            out.append({"Model": name, "Optimizer": opt, "LR": lr, "Smoothing": smoothing, "Losses": losses})
            if "--agree" in sys.argv:
                gap = lambda other: np.abs(np.array(losses) - np.array(other)).max()
                print(f"{name} {opt} lr {lr}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, channels_last {gap(train(name, opt, lr, smoothing, torch.channels_last)):.1e}, "
                      f"float64 {gap(train(name, opt, lr, smoothing, dtype=torch.float64)):.1e}", flush=True)
    json.dump(out, open("trajectories.json", "w"), indent=0)


if __name__ == "__main__":
    main()
