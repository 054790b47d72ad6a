"""The networks: plain ``torch.nn.Module`` classes and a registry that makes them by name."""

from cardiacseg.models.system import SegmentationSystem, SystemConfig, SystemOutput, create_model, list_models

__all__ = ["SegmentationSystem", "SystemConfig", "SystemOutput", "create_model", "list_models"]
