"""Write a training adapter for Trainwright in one Python file.

Importing this package imports no deep-learning framework.
"""

from .base import Stop, TrainingAdapter
from .config import ConfigField, ConfigSchema, DatasetConfig, DatasetFormat, ModelConfig, TaskType, TrainingConfig
from .logger import TrainingLogger
from .results import MetricsResult
from .storage import get_dataset

__version__ = "0.1.0"

# Adapters by framework name. A file that defines one adapter need not fill it.
ADAPTER_REGISTRY: dict[str, type[TrainingAdapter]] = {}

__all__ = [
    "ADAPTER_REGISTRY", "ConfigField", "ConfigSchema", "DatasetConfig", "DatasetFormat", "MetricsResult", "ModelConfig",
    "Stop", "TaskType", "TrainingAdapter", "TrainingConfig", "TrainingLogger", "get_dataset",
]
