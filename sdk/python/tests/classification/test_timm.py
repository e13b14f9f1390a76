"""The timm adapter over timm itself."""

import pytest
import torch
from platform_sdk import DatasetConfig, ModelConfig, TaskType, TrainingConfig

timm = pytest.importorskip("timm", reason="timm is not installed")

from platform_sdk.adapters.timm import TimmAdapter, get_models  # noqa: E402


def make(dots, out, name, **model):
    return TimmAdapter(
        ModelConfig(framework="timm", task_type=TaskType.image_classification, model_name=name, image_size=32, pretrained=False, **model),
        DatasetConfig(dataset_path=str(dots)), TrainingConfig(epochs=1, batch_size=18, learning_rate=1e-3), str(out), 1)


def test_models_are_timms_own():
    models = get_models("image_classification")
    assert [m["model_name"] for m in models] == timm.list_models()
    assert next(m for m in models if m["model_name"] == "resnet18")["pretrained"]
    assert get_models("object_detection") == []


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_trains(tmp_path, dots, name):
    (result,) = make(dots, tmp_path, name).train()
    assert 0 <= result.metrics["accuracy"] <= 1 and (tmp_path / "checkpoints" / "best.pth").exists()


def test_weights_of_another_number_of_classes_are_re_headed(tmp_path, dots):
    torch.save(timm.create_model("resnet10t", num_classes=7).state_dict(), tmp_path / "w.pth")
    adapter = make(dots, tmp_path / "out", "resnet10t", weights=str(tmp_path / "w.pth"), freeze=["layer*"])
    adapter.prepare_dataset()
    adapter.prepare_model()
    assert adapter.model.fc.out_features == 2
    assert not any(p.requires_grad for n, p in adapter.model.named_parameters() if n.startswith("layer"))


def test_weights_of_another_model_are_refused(tmp_path, dots):
    torch.save(timm.create_model("resnet18", num_classes=2).state_dict(), tmp_path / "w.pth")
    adapter = make(dots, tmp_path / "out", "resnet10t", weights=str(tmp_path / "w.pth"))
    adapter.prepare_dataset()
    with pytest.raises(Exception, match="does not fit resnet10t"):
        adapter.prepare_model()


def test_unknown_model_is_named(tmp_path, dots):
    adapter = make(dots, tmp_path, "resnet18x")
    adapter.prepare_dataset()
    with pytest.raises(Exception, match="has no model 'resnet18x'"):
        adapter.prepare_model()
