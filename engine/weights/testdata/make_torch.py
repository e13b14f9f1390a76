"""Writes torch.safetensors with the reference implementation (pip install torch safetensors)."""
import torch
from safetensors.torch import save_file

save_file({
    "f32": torch.tensor([[0, 0.5], [-1.25, 3]]),
    "f16": torch.tensor([1, -2, 2.0**-14, 2.0**-24], dtype=torch.float16),
    "bf16": torch.tensor([1, -2, 0.15625, 3.3895313892515355e38], dtype=torch.bfloat16),
    "f64": torch.tensor(0.1, dtype=torch.float64),
    "i64": torch.tensor([1, 2]),
}, "torch.safetensors", metadata={"format": "pt"})
