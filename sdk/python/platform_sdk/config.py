"""What a training is told: model, dataset, hyperparameters, and the schema of its advanced config.

All classes are pydantic models: a wrong type or an unknown field is an error
that names the field, at construction and at assignment. They stay mutable, so
that an adapter may fill in what it finds out::

    model_config.num_classes = len(train_dataset.classes)
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, field_validator


class TaskType(str, Enum):
    """What is learned. Members compare equal to their names as strings.

    >>> TaskType("object_detection") == TaskType.object_detection == "object_detection"
    True
    """

    image_classification = "image_classification"
    object_detection = "object_detection"
    instance_segmentation = "instance_segmentation"
    semantic_segmentation = "semantic_segmentation"
    pose_estimation = "pose_estimation"

    def __str__(self) -> str:
        return self.value


class DatasetFormat(str, Enum):
    """How a dataset lies on disk. ``dice`` and ``imagefolder`` are
    ``{train,val[,test]}/CLASS/*``.

    >>> str(DatasetFormat.coco)
    'coco'
    """

    dice = "dice"
    imagefolder = "imagefolder"
    coco = "coco"
    yolo = "yolo"
    voc = "voc"
    custom = "custom"

    def __str__(self) -> str:
        return self.value


class _Config(BaseModel):
    # protected_namespaces: "model_name" is the platform's word, not pydantic's.
    model_config = ConfigDict(validate_assignment=True, extra="forbid", protected_namespaces=())


class ModelConfig(_Config):
    """The model to train.

    ``image_size`` is the side of the square input in pixels. ``num_classes``
    may be None: the adapter sets it when it has seen the dataset.

    >>> ModelConfig(framework="timm", task_type=TaskType.image_classification, model_name="resnet18").image_size
    224
    """

    framework: str
    task_type: TaskType
    model_name: str
    num_classes: Optional[int] = Field(default=None, ge=1)
    image_size: int = Field(default=224, ge=1)
    pretrained: bool = True
    weights: Optional[str] = None
    freeze: list[str] = Field(default_factory=list)


class DatasetConfig(_Config):
    """Where the images are.

    ``index_path`` is the planned sample list (JSON), when the runner made one;
    ``classes`` are its class names in label order.

    >>> DatasetConfig(dataset_path="data/pets", format="coco", classes=["cat", "dog"]).format
    <DatasetFormat.coco: 'coco'>
    """

    dataset_path: str
    format: DatasetFormat = DatasetFormat.imagefolder
    classes: list[str] = Field(default_factory=list)
    index_path: Optional[str] = None


class TrainingConfig(_Config):
    """Hyperparameters. ``learning_rate`` is the initial one; ``advanced_config``
    is nested by the dotted names of the adapter's schema::

        {"optimizer": {"type": "adamw", "weight_decay": 0.01}}
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    device: str = "cpu"
    seed: int = 0
    num_workers: int = Field(default=0, ge=0)
    monitor: str = "accuracy"
    mode: Literal["max", "min"] = "max"
    advanced_config: Optional[Any] = None

    @field_validator("advanced_config")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        # Kept as the object it is: the step hands in a dict that records what is read.
        if value is not None and not isinstance(value, dict):
            raise ValueError("advanced_config must be a dict")
        return value


class ConfigField(_Config):
    """One setting of an advanced config. ``name`` is dotted
    (``optimizer.weight_decay``). ``step`` is a hint for forms, never a
    validity rule. ``condition`` makes the field active only while another
    field has a value (a list: any of them). ``devices`` are the device classes
    (``cpu``, ``cuda``) on which another value than the default has an effect;
    without it, all.

    >>> ConfigField(name="ema_decay", type="number", default=0.0, min=0, max=1).label
    'ema_decay'
    """

    name: str
    type: Literal["select", "number", "integer", "boolean", "string", "list"]
    label: str = ""
    description: str = ""
    default: Any = None
    min: Optional[float] = None
    max: Optional[float] = None
    step: Optional[float] = None
    options: Optional[list[Any]] = None
    condition: Optional[dict[str, Any]] = None
    unit: Optional[str] = None
    group: Optional[str] = None
    resume: Optional[Literal["apply", "keep", "reset", "forbid"]] = None
    devices: Optional[list[Literal["cpu", "cuda"]]] = None

    @field_validator("options")
    @classmethod
    def _options(cls, value: Optional[list[Any]]) -> Optional[list[dict[str, Any]]]:
        if value is None:
            return None
        full = []
        for option in value:
            option = dict(option) if isinstance(option, dict) else {"value": option}
            if "value" not in option:
                raise ValueError(f"option {option!r} has no 'value'")
            option.setdefault("label", str(option["value"]))
            full.append(option)
        return full

    @field_validator("condition")
    @classmethod
    def _condition(cls, value: Optional[dict[str, Any]]) -> Optional[dict[str, Any]]:
        if value is not None and set(value) != {"field", "value"}:
            raise ValueError("a condition is {'field': NAME, 'value': VALUE or [VALUES]}")
        return value

    def model_post_init(self, _context: Any) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)
        if self.type == "select" and not self.options:
            raise ValueError(f"field {self.name!r} is a select without options")

    def to_dict(self) -> dict[str, Any]:
        """The field as the platform's JSON; what is not set is left out, but ``default``."""
        out = {k: v for k, v in self.model_dump().items() if v is not None and v != ""}
        out["default"] = self.default
        return out


class ConfigSchema(_Config):
    """The fields of an adapter's advanced config for one task. A name that comes
    twice, or a condition on a field that is not there, is an error.

    >>> ConfigSchema(fields=[ConfigField(name="ema_decay", type="number", default=0.0)]).to_dict()["fields"][0]["default"]
    0.0
    """

    fields: list[ConfigField] = Field(default_factory=list)

    def model_post_init(self, _context: Any) -> None:
        names = [f.name for f in self.fields]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"field {twice[0]!r} is declared twice")
        for f in self.fields:
            if f.condition and f.condition["field"] not in names:
                raise ValueError(f"field {f.name!r} depends on {f.condition['field']!r}, which is not a field")

    def to_dict(self) -> dict[str, Any]:
        """``{"fields": [...]}``, the shape that the API serves."""
        return {"fields": [f.to_dict() for f in self.fields]}
