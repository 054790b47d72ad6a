"""The networks: ``torch.nn.Module`` classes, and functions that create and list models by name."""

from cardiacseg.models.system import SegmentationSystem, SystemConfig, SystemOutput, create_model, list_models

__all__ = ["SegmentationSystem", "SystemConfig", "SystemOutput", "create_model", "list_models"]
