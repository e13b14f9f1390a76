"""The stub framework of the developer guide: create_model, over torch, tiny."""

import torch


def create_model(model_name, num_classes, pretrained=False):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, num_classes))
