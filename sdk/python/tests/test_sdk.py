"""The SDK without any deep-learning framework."""

import copy
import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import platform_sdk
import pytest
from platform_sdk import ConfigField, ConfigSchema, ModelConfig, TaskType, TrainingConfig, TrainingLogger, get_dataset
from platform_sdk.events import Spool, clean
from platform_sdk.reader import ReadLog, RecordingDict, RecordingTrainingConfig, nest
from pydantic import ValidationError


def test_import_loads_no_framework():
    code = "import platform_sdk, sys; print([m for m in ('torch','timm','ultralytics','transformers') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         cwd=Path(__file__).parents[1])
    assert out.stdout.strip() == "[]"


def test_a_working_folder_with_anything_in_it_does_no_harm(tmp_path):
    """Not to an adapter that lies in it either, which imports its neighbours all the same."""
    for folder in ("datasets", "torch", "timm", "transformers"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "readme.txt").write_text("data")
    for module in ("numpy", "random", "json", "pydantic"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("answer = 42")
    (tmp_path / "mine.py").write_text(
        "import importlib.util, json, random, sys\nimport helpers\nimport pydantic\n"
        "for name in ('datasets', 'torch', 'timm', 'transformers', 'numpy'):\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    assert spec is None or name == 'numpy' or spec.loader is not None, spec\n"
        "print(helpers.answer)")
    code = "from platform_sdk.loading import load_module; load_module('mine.py')"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path,
                         env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    assert out.stdout.strip() == "42", out.stderr


def test_unknown_and_wrong_fields_are_errors():
    with pytest.raises(ValidationError, match="epoch"):
        TrainingConfig(epochs=1, epoch=3)
    with pytest.raises(ValidationError, match="batch_size"):
        TrainingConfig(batch_size=0)
    model = ModelConfig(framework="f", task_type=TaskType.image_classification, model_name="m")
    model.num_classes = 3
    with pytest.raises(ValidationError):
        model.num_classes = -1


def test_a_schema_refuses_what_cannot_work():
    with pytest.raises(ValidationError, match="twice"):
        ConfigSchema(fields=[ConfigField(name="a", type="number"), ConfigField(name="a", type="number")])
    with pytest.raises(ValidationError, match="not a field"):
        ConfigSchema(fields=[ConfigField(name="a", type="number", condition={"field": "b", "value": 1})])
    with pytest.raises(ValidationError, match="without options"):
        ConfigField(name="a", type="select")


@pytest.mark.parametrize("read, names", [
    (lambda c: c["optimizer"]["type"], {"optimizer.type"}),
    (lambda c: c.get("optimizer", {}).get("type", "adam"), {"optimizer.type"}),
    (lambda c: c.get("optimizer", {}), set()),
    (lambda c: "type" in c["optimizer"], set()),
    (lambda c: dict(c["optimizer"]), {"optimizer.type", "optimizer.lr"}),
    (lambda c: {**c["optimizer"]}, {"optimizer.type", "optimizer.lr"}),
    (lambda c: dict(c["optimizer"].items()), {"optimizer.type", "optimizer.lr"}),
    (lambda c: copy.deepcopy(c), {"optimizer.type", "optimizer.lr", "ema"}),
    (lambda c: json.dumps(c), {"optimizer.type", "optimizer.lr", "ema"}),
    (lambda c: c.get("missing"), set()),
    (lambda c: c.pop("ema"), {"ema"}),
])
def test_reads_are_recorded(read, names):
    log = ReadLog()
    read(RecordingDict({"optimizer": {"type": "adam", "lr": 0.1}, "ema": 0.9}, log))
    assert log.names == names


def test_training_config_records_attributes():
    log = ReadLog()
    config = RecordingTrainingConfig.recording(log, epochs=3, batch_size=4, learning_rate=0.1)
    assert config.epochs == 3
    assert log.names == {"epochs"}


def test_nest():
    assert nest({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    with pytest.raises(ValueError, match="is a value, not a group"):
        nest({"a": 1, "a.b": 2})


def test_the_spool_goes_on_after_a_torn_line(tmp_path):
    spool = Spool(tmp_path, 1)
    spool.emit("message", {"level": "info", "text": "é\n"})
    spool.close()
    with open(spool.path, "ab") as file:
        file.write(b'{"v":1,"seq":2,"ty')
    spool = Spool(tmp_path, 1)
    spool.emit("metrics", {"epoch": 1, "values": {"loss": float("nan")}})
    spool.close()
    events = [json.loads(line) for line in spool.path.read_text().splitlines()]
    assert [e["seq"] for e in events] == [1, 2]
    assert events[0]["message"]["text"] == "é\n" and events[1]["metrics"]["values"]["loss"] == "NaN"


def test_clean_takes_scalars_of_arrays():
    numpy = pytest.importorskip("numpy")
    assert clean({"a": numpy.float32(0.5), "b": numpy.arange(2), "c": float("inf")}) == {"a": 0.5, "b": [0, 1], "c": "Infinity"}


def test_a_logger_without_a_run_keeps_nothing_and_refuses_nonsense():
    logger = TrainingLogger()
    assert logger.enabled is False
    logger.log_metrics(epoch=0, loss=1.0, accuracy=0.5, extra_metrics={"val_loss": 0.9})
    with pytest.raises(ValueError, match="none of running"):
        logger.update_status("done")
    with pytest.raises(ValueError, match="none of DEBUG"):
        logger.log_message("x", level="LOUD")


def test_metrics_are_filed_by_split(tmp_path):
    spool = Spool(tmp_path, 1)
    logger = TrainingLogger(sink=spool)
    logger.log_metrics(epoch=0, loss=1.5, accuracy=0.5, learning_rate=1e-3, extra_metrics={"val_loss": 0.9, "f1": 0.4})
    events = [json.loads(line)["metrics"] for line in spool.path.read_text().splitlines()]
    assert {e["split"]: e["values"] for e in events} == {
        "train": {"loss": 1.5, "learning_rate": 1e-3}, "val": {"accuracy": 0.5, "loss": 0.9, "f1": 0.4}}
    assert all(e["epoch"] == 1 for e in events)


def test_get_dataset(tmp_path, monkeypatch):
    assert get_dataset(str(tmp_path)) == str(tmp_path.resolve())
    with pytest.raises(FileNotFoundError, match="does not exist"):
        get_dataset(str(tmp_path / "none"))
    for name in ("R2_ENDPOINT", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match="R2_ENDPOINT"):
        get_dataset("r2://bucket/flowers")


def test_documentation_has_examples_that_hold():
    public = [getattr(platform_sdk, n) for n in platform_sdk.__all__ if n != "ADAPTER_REGISTRY"]
    assert [p.__name__ for p in public if ">>>" not in p.__doc__ and "::" not in p.__doc__] == []
    for name in sorted({p.__module__ for p in public}):
        found = doctest.testmod(sys.modules[name])
        assert found.failed == 0, name
