"""What a training gives back."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, Field


def measured(metrics: dict[str, Any]) -> dict[str, float]:
    """Of an epoch's metrics those that were measured on held-out data: what a
    run and its checkpoints are judged by. Training's own have their curves.

    >>> measured({"accuracy": 0.4, "learning_rate": 1e-3, "train_loss": 1.2})
    {'accuracy': 0.4}
    """
    return {k: float(v) for k, v in metrics.items()
            if isinstance(v, (int, float)) and k not in ("learning_rate", "lr") and not k.startswith("train_")}


class MetricsResult(BaseModel):
    """One epoch's outcome. ``epoch`` counts from 0, as adapters count; losses
    are means per sample; fractions such as accuracy lie in [0, 1].

    >>> MetricsResult(epoch=0, train_loss=1.2, val_loss=1.1, metrics={"accuracy": 0.4}).metrics["accuracy"]
    0.4
    """

    model_config = ConfigDict(extra="forbid")

    epoch: int = Field(ge=0)
    train_loss: float
    val_loss: Optional[float] = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    checkpoint_path: Optional[str] = None
