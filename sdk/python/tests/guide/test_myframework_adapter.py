import pytest
from adapters.myframework_adapter import MyFrameworkAdapter, get_models
from platform_sdk import ModelConfig, DatasetConfig, TrainingConfig, TaskType, DatasetFormat


def test_get_models():
    """모델 목록 조회 테스트"""
    models = get_models()
    assert len(models) > 0
    assert all("model_name" in m for m in models)


def test_get_models_filtered():
    """태스크 타입 필터링 테스트"""
    models = get_models(task_type="image_classification")
    assert all("image_classification" in m["task_types"] for m in models)


def test_adapter_initialization():
    """Adapter 초기화 테스트"""

    model_config = ModelConfig(
        framework="myframework",
        task_type=TaskType.image_classification,
        model_name="my_resnet50",
        num_classes=10,
        image_size=224,
        pretrained=False,
    )

    dataset_config = DatasetConfig(
        dataset_path="/path/to/dataset",
        format=DatasetFormat.dice,
    )

    training_config = TrainingConfig(
        epochs=10,
        batch_size=32,
        learning_rate=0.001,
        device="cpu",
    )

    adapter = MyFrameworkAdapter(
        model_config=model_config,
        dataset_config=dataset_config,
        training_config=training_config,
        output_dir="/tmp/output",
        job_id=1,
    )

    assert adapter is not None
    assert adapter.model_config.model_name == "my_resnet50"


def test_config_schema():
    """Config Schema 테스트"""
    schema = MyFrameworkAdapter.get_advanced_config_schema("image_classification")

    assert schema is not None
    assert len(schema.fields) > 0

    # Optimizer 필드 확인
    optimizer_fields = [f for f in schema.fields if f.name.startswith("optimizer")]
    assert len(optimizer_fields) > 0


def test_training_flow(tmp_path):
    """전체 학습 플로우 테스트"""

    # 1. Dummy dataset 생성
    dataset_dir = tmp_path / "dataset"
    (dataset_dir / "train" / "class1").mkdir(parents=True)
    (dataset_dir / "val" / "class1").mkdir(parents=True)

    # Dummy images
    from PIL import Image
    import numpy as np

    for i in range(5):
        img = Image.fromarray(np.random.randint(0, 255, (224, 224, 3), dtype=np.uint8))
        img.save(dataset_dir / "train" / "class1" / f"img_{i}.jpg")
        # The guide leaves the val folder empty, which ImageFolder refuses.
        img.save(dataset_dir / "val" / "class1" / f"img_{i}.jpg")

    # 2. Config 생성
    model_config = ModelConfig(
        framework="myframework",
        task_type=TaskType.image_classification,
        model_name="my_resnet50",
        num_classes=1,
        image_size=224,
        pretrained=False,
    )

    dataset_config = DatasetConfig(
        dataset_path=str(dataset_dir),
        format=DatasetFormat.dice,
    )

    training_config = TrainingConfig(
        epochs=2,  # 짧게 테스트
        batch_size=2,
        learning_rate=0.001,
        device="cpu",
    )

    # 3. Adapter 생성 및 학습
    adapter = MyFrameworkAdapter(
        model_config=model_config,
        dataset_config=dataset_config,
        training_config=training_config,
        output_dir=str(tmp_path / "output"),
        job_id=1,
    )

    metrics = adapter.train()

    # 4. 검증
    assert len(metrics) == 2  # 2 epochs
    assert all(m.epoch >= 0 for m in metrics)
    assert all(m.train_loss >= 0 for m in metrics)
