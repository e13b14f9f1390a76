"""Measures PyTorch's training step as bench/steps does the native one: one line of JSON."""
import argparse
import json
import os
import time

import timm
import torch
import torch.nn.functional as F

p = argparse.ArgumentParser()
p.add_argument("--model", default="resnet18")
p.add_argument("--size", type=int, default=224)
p.add_argument("--batch", type=int, default=32)
p.add_argument("--classes", type=int, default=100)
p.add_argument("--optimizer", default="sgd")
p.add_argument("--steps", type=int, default=8)
p.add_argument("--threads", type=int, default=os.cpu_count())
p.add_argument("--mode", choices=["contiguous", "channels_last", "compile", "channels_last_compile"], default="contiguous")
p.add_argument("--backend", default="inductor", help="of torch.compile")
p.add_argument("--device", default="cpu")
p.add_argument("--amp", choices=["float16", "bfloat16"], help="autocast to it; float16 with a GradScaler")
a = p.parse_args()

torch.set_num_threads(a.threads)
torch.manual_seed(1)
start = time.perf_counter()
layout = torch.channels_last if "channels_last" in a.mode else torch.contiguous_format
device = torch.device(a.device)
size = {"img_size": a.size} if a.model.startswith("vit") else {}
model = timm.create_model(a.model, num_classes=a.classes, **size).train().to(device, memory_format=layout)
if a.optimizer == "sgd":
    opt = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
else:
    opt = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[a.optimizer](model.parameters(), 1e-3)
run = torch.compile(model, backend=a.backend) if "compile" in a.mode else model
amp = torch.autocast(device.type, getattr(torch, a.amp or "bfloat16"), enabled=a.amp is not None)
scaler = torch.amp.GradScaler(device.type, enabled=a.amp == "float16")
x = torch.randn(a.batch, 3, a.size, a.size).to(device).contiguous(memory_format=layout)
y = torch.randint(0, a.classes, (a.batch,)).to(device)
took, busy = [], []
for step in range(a.steps + 2):
    t, used = start if step == 0 else time.perf_counter(), time.process_time()
    opt.zero_grad(set_to_none=True)
    with amp:
        loss = F.cross_entropy(run(x), y)
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
    value = loss.item()
    took.append(time.perf_counter() - t)
    busy.append(time.process_time() - used)
timed = sorted(took[2:])
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) // 1024
print(json.dumps({"side": "torch " + a.mode + (" amp" if a.amp else ""), "model": a.model, "device": a.device, "precision": a.amp or "float32",
                  "best": a.batch / timed[0], "median": a.batch / timed[len(timed) // 2],
                  "cpu_s": sorted(busy[2:])[len(timed) // 2], "first_step_s": took[0], "peak_mb": peak, "loss": value}))
