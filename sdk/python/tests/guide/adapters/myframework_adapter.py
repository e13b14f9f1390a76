"""MyFramework Adapter for Vision AI Training Platform"""

from typing import List, Dict, Any

# 지원하는 모델 목록
MYFRAMEWORK_MODELS = [
    {
        "model_name": "my_resnet50",
        "framework": "myframework",
        "task_types": ["image_classification"],
        "default_image_size": 224,
        "parameters": "25.6M",
        "pretrained": True,
        "description": "ResNet-50 implementation in MyFramework"
    },
    {
        "model_name": "my_efficientnet",
        "framework": "myframework",
        "task_types": ["image_classification"],
        "default_image_size": 224,
        "parameters": "5.3M",
        "pretrained": True,
        "description": "EfficientNet-B0 implementation"
    },
    {
        "model_name": "my_detector",
        "framework": "myframework",
        "task_types": ["object_detection"],
        "default_image_size": 640,
        "parameters": "50M",
        "pretrained": True,
        "description": "Object detection model"
    },
]


def get_models(task_type: str = None) -> List[Dict[str, Any]]:
    """
    모델 목록 반환 (플랫폼이 호출)

    Args:
        task_type: 필터링할 태스크 타입 (optional)

    Returns:
        모델 메타데이터 리스트
    """
    if task_type:
        return [
            m for m in MYFRAMEWORK_MODELS
            if task_type in m["task_types"]
        ]
    return MYFRAMEWORK_MODELS


from platform_sdk import (
    TrainingAdapter,
    ModelConfig,
    DatasetConfig,
    TrainingConfig,
    MetricsResult,
    TaskType,
    DatasetFormat,
    TrainingLogger,
)
from pathlib import Path
from typing import List, Optional
import torch
from platform_sdk.config import ConfigField, ConfigSchema


class MyFrameworkAdapter(TrainingAdapter):
    """
    MyFramework Adapter 구현
    """

    def __init__(
        self,
        model_config: ModelConfig,
        dataset_config: DatasetConfig,
        training_config: TrainingConfig,
        output_dir: str,
        job_id: int,
        project_id: Optional[int] = None,
        logger: Optional[TrainingLogger] = None,
    ):
        """
        Adapter 초기화

        Args:
            model_config: 모델 설정
            dataset_config: 데이터셋 설정
            training_config: 학습 설정
            output_dir: 출력 디렉토리
            job_id: 학습 작업 ID
            project_id: 프로젝트 ID
            logger: 로거 인스턴스
        """
        super().__init__(
            model_config=model_config,
            dataset_config=dataset_config,
            training_config=training_config,
            output_dir=output_dir,
            job_id=job_id,
            project_id=project_id,
            logger=logger,
        )

        # 프레임워크별 초기화
        self.model = None
        self.optimizer = None
        self.scheduler = None
        self.train_loader = None
        self.val_loader = None


    def prepare_model(self) -> None:
        """
        모델 준비 (추상 메서드 구현 필수)
        """
        print(f"[INFO] Preparing model: {self.model_config.model_name}")

        # 1. 모델 생성
        from myframework import create_model

        self.model = create_model(
            model_name=self.model_config.model_name,
            num_classes=self.model_config.num_classes,
            pretrained=self.model_config.pretrained,
        )

        # 2. Device로 이동
        device = self.training_config.device
        self.model.to(device)

        print(f"[INFO] Model loaded on {device}")

    def prepare_dataset(self) -> None:
        """데이터셋 준비"""

        dataset_path = Path(self.dataset_config.dataset_path)
        dataset_format = self.dataset_config.format

        print(f"[INFO] Loading dataset from: {dataset_path}")
        print(f"[INFO] Dataset format: {dataset_format}")

        # Task Type에 따라 분기
        if self.model_config.task_type == TaskType.image_classification:
            self._prepare_classification_dataset(dataset_path, dataset_format)
        elif self.model_config.task_type == TaskType.object_detection:
            self._prepare_detection_dataset(dataset_path, dataset_format)
        else:
            raise ValueError(f"Unsupported task type: {self.model_config.task_type}")


    def _prepare_classification_dataset(
        self,
        dataset_path: Path,
        dataset_format: DatasetFormat
    ) -> None:
        """Image Classification 데이터셋 준비"""

        from torch.utils.data import DataLoader
        from torchvision import datasets, transforms

        # Data Augmentation
        train_transform = transforms.Compose([
            transforms.Resize((self.model_config.image_size, self.model_config.image_size)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ])

        val_transform = transforms.Compose([
            transforms.Resize((self.model_config.image_size, self.model_config.image_size)),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ])

        # ImageFolder 형식 지원
        if dataset_format == DatasetFormat.dice or dataset_format == DatasetFormat.imagefolder:
            train_dataset = datasets.ImageFolder(
                root=dataset_path / "train",
                transform=train_transform
            )

            val_dataset = datasets.ImageFolder(
                root=dataset_path / "val",
                transform=val_transform
            )

            # 클래스 수 자동 감지
            if not self.model_config.num_classes:
                self.model_config.num_classes = len(train_dataset.classes)

            print(f"[INFO] Detected {self.model_config.num_classes} classes")
            print(f"[INFO] Classes: {train_dataset.classes}")

        else:
            raise ValueError(f"Unsupported dataset format: {dataset_format}")

        # DataLoader 생성
        self.train_loader = DataLoader(
            train_dataset,
            batch_size=self.training_config.batch_size,
            shuffle=True,
            num_workers=4,
            pin_memory=True
        )

        self.val_loader = DataLoader(
            val_dataset,
            batch_size=self.training_config.batch_size,
            shuffle=False,
            num_workers=4,
            pin_memory=True
        )

        print(f"[INFO] Train samples: {len(train_dataset)}")
        print(f"[INFO] Val samples: {len(val_dataset)}")

    def _setup_optimizer(self) -> None:
        """Optimizer 설정"""

        # Advanced Config에서 설정 가져오기
        advanced_config = self.training_config.advanced_config or {}
        optimizer_config = advanced_config.get("optimizer", {})

        optimizer_type = optimizer_config.get("type", "adam")
        lr = optimizer_config.get("learning_rate", self.training_config.learning_rate)
        weight_decay = optimizer_config.get("weight_decay", 0.0)

        # Optimizer 생성
        if optimizer_type == "adam":
            self.optimizer = torch.optim.Adam(
                self.model.parameters(),
                lr=lr,
                weight_decay=weight_decay
            )
        elif optimizer_type == "adamw":
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(),
                lr=lr,
                weight_decay=weight_decay
            )
        elif optimizer_type == "sgd":
            momentum = optimizer_config.get("momentum", 0.9)
            self.optimizer = torch.optim.SGD(
                self.model.parameters(),
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay
            )
        else:
            raise ValueError(f"Unknown optimizer: {optimizer_type}")

        print(f"[INFO] Optimizer: {optimizer_type}, LR: {lr}")


    def _setup_scheduler(self) -> None:
        """Learning Rate Scheduler 설정"""

        advanced_config = self.training_config.advanced_config or {}
        scheduler_config = advanced_config.get("scheduler", {})

        scheduler_type = scheduler_config.get("type", "none")

        if scheduler_type == "cosine":
            T_max = scheduler_config.get("T_max", self.training_config.epochs)
            eta_min = scheduler_config.get("eta_min", 1e-6)

            self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
                self.optimizer,
                T_max=T_max,
                eta_min=eta_min
            )

        elif scheduler_type == "step":
            step_size = scheduler_config.get("step_size", 30)
            gamma = scheduler_config.get("gamma", 0.1)

            self.scheduler = torch.optim.lr_scheduler.StepLR(
                self.optimizer,
                step_size=step_size,
                gamma=gamma
            )

        elif scheduler_type == "none":
            self.scheduler = None

        else:
            raise ValueError(f"Unknown scheduler: {scheduler_type}")

        print(f"[INFO] Scheduler: {scheduler_type}")

    def train(
        self,
        start_epoch: int = 0,
        checkpoint_path: Optional[str] = None,
        resume_training: bool = False
    ) -> List[MetricsResult]:
        """학습 실행"""

        # 1. 모델 및 데이터셋 준비
        self.prepare_model()
        self.prepare_dataset()

        # 2. Optimizer 및 Scheduler 설정
        self._setup_optimizer()
        self._setup_scheduler()

        # 3. Checkpoint 로딩 (있는 경우)
        if checkpoint_path:
            self._load_checkpoint(checkpoint_path, resume_training)

        # 4. Loss function
        criterion = torch.nn.CrossEntropyLoss()

        # 5. Training Loop
        metrics_history = []
        best_accuracy = 0.0

        for epoch in range(start_epoch, self.training_config.epochs):
            print(f"\n{'='*80}")
            print(f"Epoch {epoch+1}/{self.training_config.epochs}")
            print(f"{'='*80}")

            # Train one epoch
            train_loss = self._train_one_epoch(epoch, criterion)

            # Validation
            val_loss, val_metrics = self._validate(epoch, criterion)

            # Metrics
            accuracy = val_metrics.get("accuracy", 0.0)

            # Learning rate (after scheduler step)
            if self.scheduler:
                self.scheduler.step()

            current_lr = self.optimizer.param_groups[0]['lr']

            # Create MetricsResult
            metrics_result = MetricsResult(
                epoch=epoch,
                train_loss=train_loss,
                val_loss=val_loss,
                metrics={
                    "accuracy": accuracy,
                    "learning_rate": current_lr,
                }
            )

            metrics_history.append(metrics_result)

            # Log to platform (Step 6에서 상세 설명)
            if self.logger and self.logger.enabled:
                self.logger.log_metrics(
                    epoch=epoch,
                    loss=train_loss,
                    accuracy=accuracy,
                    learning_rate=current_lr,
                    extra_metrics={"val_loss": val_loss}
                )

            # Save checkpoint
            is_best = accuracy > best_accuracy
            if is_best:
                best_accuracy = accuracy

            self._save_checkpoint(epoch, metrics_result, is_best=is_best)

            # Print summary
            print(f"\n[EPOCH {epoch+1}] Train Loss: {train_loss:.4f}, "
                  f"Val Loss: {val_loss:.4f}, Accuracy: {accuracy:.4f}")

        return metrics_history


    def _train_one_epoch(self, epoch: int, criterion) -> float:
        """한 에포크 학습"""

        self.model.train()
        total_loss = 0.0
        device = self.training_config.device

        for batch_idx, (images, labels) in enumerate(self.train_loader):
            images = images.to(device)
            labels = labels.to(device)

            # Forward
            self.optimizer.zero_grad()
            outputs = self.model(images)
            loss = criterion(outputs, labels)

            # Backward
            loss.backward()
            self.optimizer.step()

            total_loss += loss.item()

            # Progress
            if (batch_idx + 1) % 10 == 0:
                print(f"[Batch {batch_idx+1}/{len(self.train_loader)}] "
                      f"Loss: {loss.item():.4f}")

        avg_loss = total_loss / len(self.train_loader)
        return avg_loss


    def _validate(self, epoch: int, criterion) -> tuple:
        """Validation"""

        self.model.eval()
        total_loss = 0.0
        correct = 0
        total = 0
        device = self.training_config.device

        with torch.no_grad():
            for images, labels in self.val_loader:
                images = images.to(device)
                labels = labels.to(device)

                outputs = self.model(images)
                loss = criterion(outputs, labels)

                total_loss += loss.item()

                # Accuracy
                _, predicted = torch.max(outputs, 1)
                correct += (predicted == labels).sum().item()
                total += labels.size(0)

        avg_loss = total_loss / len(self.val_loader)
        accuracy = correct / total

        metrics = {
            "accuracy": accuracy,
        }

        return avg_loss, metrics

    def _save_checkpoint(
        self,
        epoch: int,
        metrics: MetricsResult,
        is_best: bool = False
    ) -> None:
        """체크포인트 저장"""

        checkpoint_dir = Path(self.output_dir) / "checkpoints"
        checkpoint_dir.mkdir(parents=True, exist_ok=True)

        # Checkpoint 데이터
        checkpoint = {
            "epoch": epoch,
            "model_state_dict": self.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "metrics": {
                "train_loss": metrics.train_loss,
                "val_loss": metrics.val_loss,
                "accuracy": metrics.metrics.get("accuracy", 0.0),
            },
            "model_config": {
                "model_name": self.model_config.model_name,
                "num_classes": self.model_config.num_classes,
            },
        }

        if self.scheduler:
            checkpoint["scheduler_state_dict"] = self.scheduler.state_dict()

        # 에포크별 저장
        epoch_path = checkpoint_dir / f"epoch_{epoch}.pth"
        torch.save(checkpoint, epoch_path)

        # Latest 저장
        latest_path = checkpoint_dir / "latest.pth"
        torch.save(checkpoint, latest_path)

        # Best 저장
        if is_best:
            best_path = checkpoint_dir / "best.pth"
            torch.save(checkpoint, best_path)
            print(f"[INFO] Best checkpoint saved: {best_path}")

        # R2에 업로드 (TrainingAdapter base class method 활용)
        self._upload_checkpoint_to_r2(epoch_path, epoch, metrics)


    def _load_checkpoint(
        self,
        checkpoint_path: str,
        resume_training: bool
    ) -> None:
        """체크포인트 로딩"""

        print(f"[INFO] Loading checkpoint: {checkpoint_path}")

        checkpoint = torch.load(checkpoint_path, map_location=self.training_config.device)

        # 모델 가중치 로딩
        self.model.load_state_dict(checkpoint["model_state_dict"])

        if resume_training:
            # Optimizer, Scheduler도 복원
            self.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])

            if "scheduler_state_dict" in checkpoint and self.scheduler:
                self.scheduler.load_state_dict(checkpoint["scheduler_state_dict"])

            print(f"[INFO] Resumed from epoch {checkpoint['epoch']}")
        else:
            print(f"[INFO] Loaded pretrained weights only")

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        """
        Advanced Config Schema 정의

        Args:
            task_type: 태스크 타입

        Returns:
            ConfigSchema 객체
        """

        fields = [
            # Optimizer
            ConfigField(
                name="optimizer.type",
                type="select",
                label="Optimizer",
                description="Optimization algorithm",
                default="adam",
                options=[
                    {"value": "adam", "label": "Adam", "description": "Adaptive Moment Estimation"},
                    {"value": "adamw", "label": "AdamW", "description": "Adam with weight decay"},
                    {"value": "sgd", "label": "SGD", "description": "Stochastic Gradient Descent"},
                ]
            ),

            ConfigField(
                name="optimizer.learning_rate",
                type="number",
                label="Learning Rate",
                description="Initial learning rate",
                default=0.001,
                min=1e-6,
                max=1.0,
                step=1e-5,
            ),

            ConfigField(
                name="optimizer.weight_decay",
                type="number",
                label="Weight Decay",
                description="L2 regularization",
                default=0.0,
                min=0.0,
                max=1.0,
                step=0.0001,
            ),

            # Scheduler
            ConfigField(
                name="scheduler.type",
                type="select",
                label="LR Scheduler",
                description="Learning rate scheduling strategy",
                default="cosine",
                options=[
                    {"value": "cosine", "label": "Cosine Annealing"},
                    {"value": "step", "label": "Step LR"},
                    {"value": "none", "label": "None"},
                ]
            ),

            ConfigField(
                name="scheduler.T_max",
                type="number",
                label="T_max (Cosine)",
                description="Maximum iterations for cosine annealing",
                default=50,
                min=1,
                max=1000,
                step=1,
                condition={"field": "scheduler.type", "value": "cosine"},  # Conditional display
            ),

            # Data Augmentation
            ConfigField(
                name="augmentation.enabled",
                type="boolean",
                label="Enable Augmentation",
                description="Apply data augmentation",
                default=True,
            ),

            ConfigField(
                name="augmentation.random_flip",
                type="boolean",
                label="Random Flip",
                default=True,
                condition={"field": "augmentation.enabled", "value": True},
            ),

            # Mixed Precision
            ConfigField(
                name="mixed_precision",
                type="boolean",
                label="Mixed Precision Training",
                description="Use FP16 for faster training",
                default=False,
            ),

            # Gradient Clipping
            ConfigField(
                name="gradient_clip_value",
                type="number",
                label="Gradient Clip Value",
                description="Max gradient norm (0 = disabled)",
                default=0.0,
                min=0.0,
                max=10.0,
                step=0.1,
            ),
        ]

        return ConfigSchema(fields=fields)

    @staticmethod
    def get_config_presets(task_type: str) -> Dict[str, Any]:
        """
        Config Preset 정의

        Returns:
            Preset 딕셔너리
        """

        return {
            "basic": {
                "optimizer": {
                    "type": "adam",
                    "learning_rate": 0.001,
                    "weight_decay": 0.0,
                },
                "scheduler": {
                    "type": "none",
                },
                "augmentation": {
                    "enabled": False,
                },
                "mixed_precision": False,
                "gradient_clip_value": 0.0,
            },

            "standard": {
                "optimizer": {
                    "type": "adamw",
                    "learning_rate": 0.001,
                    "weight_decay": 0.01,
                },
                "scheduler": {
                    "type": "cosine",
                    "T_max": 50,
                    "eta_min": 1e-6,
                },
                "augmentation": {
                    "enabled": True,
                    "random_flip": True,
                },
                "mixed_precision": True,
                "gradient_clip_value": 1.0,
            },

            "aggressive": {
                "optimizer": {
                    "type": "adamw",
                    "learning_rate": 0.003,
                    "weight_decay": 0.05,
                },
                "scheduler": {
                    "type": "cosine",
                    "T_max": 100,
                    "eta_min": 1e-7,
                },
                "augmentation": {
                    "enabled": True,
                    "random_flip": True,
                },
                "mixed_precision": True,
                "gradient_clip_value": 5.0,
            },
        }


from torch.utils.data import Dataset


class MyCustomDataset(Dataset):
    """Custom Dataset for MyFramework"""

    def __init__(self, data_dir: Path, transform=None):
        self.data_dir = data_dir
        self.transform = transform
        self.samples = self._load_samples()

    def _load_samples(self):
        # 데이터셋 로딩 로직
        samples = []
        # ... 구현
        return samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, idx):
        image_path, label = self.samples[idx]

        # 이미지 로딩
        from PIL import Image
        image = Image.open(image_path).convert("RGB")

        if self.transform:
            image = self.transform(image)

        return image, label
