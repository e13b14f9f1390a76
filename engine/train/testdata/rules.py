"""Writes rules.json: what PyTorch makes of a few training steps.

    python3 -m venv v && v/bin/pip install torch && v/bin/python rules.py

Weights and pixels come from formulas, which rules_test.go repeats, so that no
large file is needed. The model is the zoo's convnet on 16 px images. Each
scenario turns one rule on; the last turns on all.
"""

import json
import math
import pathlib

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
BATCHES = [8, 8, 5]  # 21 images, the last batch is the remainder
CLASSES = 3
EPOCHS = 2


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        stages, channels = [], 3
        for width in (32, 64, 128):
            stage = nn.Module()
            for j in (1, 2):
                setattr(stage, f"conv{j}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
                setattr(stage, f"bn{j}", nn.BatchNorm2d(width))
                channels = width
            stages.append(stage)
        self.stages = nn.ModuleList(stages)
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x):
        for s in self.stages:
            x = torch.relu(s.bn1(s.conv1(x)))
            x = torch.relu(s.bn2(s.conv2(x)))
            x = torch.max_pool2d(x, 2)
        return self.fc(x.mean((2, 3)))


def fill(name, tensor):
    """Every tensor's start, a function of its name's length and the element's index."""
    i = torch.arange(tensor.numel(), dtype=torch.float64)
    wave = torch.sin(i * 0.7 + len(name))
    if name.endswith("running_mean"):
        v = 0.1 * wave
    elif name.endswith("running_var"):
        v = 1 + 0.5 * wave
    elif "bn" in name and name.endswith("weight"):
        v = 1 + 0.2 * wave
    elif name.endswith("bias"):
        v = 0.1 * wave
    else:
        fan_in = tensor[0].numel()
        v = wave * math.sqrt(2 / fan_in)
    with torch.no_grad():
        tensor.copy_(v.reshape(tensor.shape).float())


def batch(number, size):
    i = torch.arange(size * 16 * 16 * 3, dtype=torch.int64)
    pixels = ((i * 7919 + number * 104729 + (i // 768) * (i % 97)) % 256).reshape(size, 16, 16, 3)
    labels = (torch.arange(size) + number) % CLASSES
    x = (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    return x, labels


def digest(tensors):
    out = {}
    for name, t in tensors.items():
        t = t.detach().double().flatten()
        if name.endswith("num_batches_tracked"):
            continue
        out[name] = {"first": t[:4].tolist(), "sum": t.sum().item(), "squares": (t * t).sum().item()}
    return out


def scenario(optimizer, clip=0, accumulate=1, smoothing=0, ema=0):
    model = ConvNet()
    for name, t in list(model.named_parameters()) + list(model.named_buffers()):
        if not name.endswith("num_batches_tracked"):
            fill(name, t)
    model.train()
    opt = optimizer(model.parameters())
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True) if ema else None
    loss_of = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="sum")
    losses, number = [], 0
    for _ in range(EPOCHS):
        window = 0
        for index, size in enumerate(BATCHES):
            x, y = batch(number, size)
            number += 1
            loss = loss_of(model(x), y)
            losses.append(loss.item() / size)
            loss.backward()
            window += size
            if (index + 1) % accumulate and index + 1 < len(BATCHES):
                continue
            for p in model.parameters():  # the mean over the window's samples
                p.grad /= window
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            opt.step()
            opt.zero_grad()
            window = 0
            if averaged:
                averaged.update_parameters(model)
    out = {"losses": losses, "tensors": digest(model.state_dict())}
    if averaged:
        out["ema"] = digest(averaged.module.state_dict())
    return out


def adamw(params):
    return torch.optim.AdamW(params, lr=1e-3, weight_decay=0.05)


def adam(params):
    return torch.optim.Adam(params, lr=1e-3, weight_decay=0.01)


def sgd(params):
    return torch.optim.SGD(params, lr=5e-3, momentum=0.9, weight_decay=0.01, nesterov=True)


result = {
    "adamw": scenario(adamw),
    "adam": scenario(adam),
    "sgd": scenario(sgd),
    "clip": scenario(sgd, clip=0.5),
    "accumulate": scenario(sgd, accumulate=2),
    "smoothing": scenario(sgd, smoothing=0.2),
    "ema": scenario(sgd, ema=0.8),
    "all": scenario(adamw, clip=0.5, accumulate=2, smoothing=0.1, ema=0.8),
}
path = pathlib.Path(__file__).with_name("rules.json")
path.write_text(json.dumps(result, indent=1) + "\n")
