"""What a training gives back."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, Field


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
