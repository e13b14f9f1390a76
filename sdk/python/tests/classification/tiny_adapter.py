"""A small convolution net over the SDK's classification loop."""

from platform_sdk.classification import ClassificationAdapter

LICENSE = "Apache-2.0"


def get_models(task_type=None):
    models = [{"model_name": "tiny", "framework": "tiny", "task_types": ["image_classification"], "default_image_size": 16,
               "parameters": "0.0M", "pretrained": False, "description": "Two convolutions", "license": "Apache-2.0"}]
    return [m for m in models if task_type in (None, *m["task_types"])]


class TinyAdapter(ClassificationAdapter):
    def prepare_model(self):
        import torch

        n = self.model_config.num_classes
        self.model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, 2), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout(0.2),
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, n))
