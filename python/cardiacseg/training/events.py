"""Losses and scores as TensorBoard events; needs the package ``tensorboard``."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

Log = Callable[[str, Mapping[str, float], int], None]


def require_tensorboard() -> None:
    """Raise ``ModuleNotFoundError`` where the package is missing."""
    if find_spec("tensorboard") is None:
        raise ModuleNotFoundError(
            'TensorBoard events need the package tensorboard: pip install "cardiacseg[tensorboard]"'
        )


@contextmanager
def event_log(folder: Path | None, step: int) -> Iterator[Log]:
    """Yield a function that writes named numbers under a title at a step into ``folder``; into nothing with None.

    Events that an interrupted run wrote at ``step`` or later are no longer shown.
    """
    if folder is None:
        yield lambda title, values, step: None
        return
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=step) as writer:

        def log(title: str, values: Mapping[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(f"{title}/{name}", value, step)

        yield log
