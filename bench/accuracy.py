"""Trains in PyTorch what bench/accuracy trained natively, from the folder that
it left, and prints the last epoch's validation accuracy, and each epoch's
training loss and validation accuracy, as one line of JSON."""
import json
import pathlib
import sys
import time

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "engine" / "zoo" / "testdata"))
sys.dont_write_bytecode = True
from make_reference import ConvNet  # noqa: E402  the zoo's own network

folder = pathlib.Path(sys.argv[1])
r = json.loads((folder / "recipe.json").read_text())
order = json.loads((folder / "order.json").read_text())


def split(name):
    labels = torch.tensor(json.loads((folder / f"{name}.labels.json").read_text()))
    x = np.fromfile(folder / f"{name}.images", np.uint8).reshape(len(labels), r["size"], r["size"], 3)
    x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(r[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    return (x - mean) / std, labels


x, y = split("train")
vx, vy = split("val")
classes = len(r["classes"])
model = ConvNet(classes) if r["model"] == "convnet" else timm.create_model(r["model"], num_classes=classes)
missing, unexpected = model.load_state_dict(load_file(folder / "initial.safetensors"), strict=False)
assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), (missing, unexpected)
model = model.to(memory_format=torch.channels_last)
if r["optimizer"] == "sgd":
    opt = torch.optim.SGD(model.parameters(), r["lr"], momentum=r["momentum"], weight_decay=r["weight_decay"])
else:
    opt = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[r["optimizer"]](model.parameters(), r["lr"], weight_decay=r["weight_decay"])
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, r["epochs"])


def validate():
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(b) for b in vx.split(r["batch"])])
    return (logits.argmax(1) == vy).float().mean().item(), F.cross_entropy(logits, vy).item()


start = time.perf_counter()
losses, accuracies = [], []
for epoch in range(r["epochs"]):
    model.train()
    total = 0.0
    for ids in torch.tensor(order[epoch]).split(r["batch"]):
        opt.zero_grad(set_to_none=True)
        batch_loss = F.cross_entropy(model(x[ids].contiguous(memory_format=torch.channels_last)), y[ids])
        batch_loss.backward()
        opt.step()
        total += batch_loss.item() * len(ids)
    schedule.step()
    accuracy, loss = validate()
    losses.append(total / len(order[epoch]))
    accuracies.append(accuracy)
print(json.dumps({"side": "torch", "model": r["model"], "seed": r["seed"], "accuracy": accuracy, "loss": loss,
                  "seconds": time.perf_counter() - start, "train_loss": losses, "val_accuracy": accuracies}))
