"""Effect of temporal presence: the same cines with and without it (``tools/evaluate.py --temporal``)."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cardiacseg.evaluation.image_perturbations import add_noise
from cardiacseg.evaluation.runs import Progress, with_progress
from cardiacseg.evaluation.summary import MEASURES
from cardiacseg.evaluation.tables import table
from cardiacseg.io.labelled import LabelledFrame, read_labelled_frame
from cardiacseg.measurements import measure
from cardiacseg.metrics import dice_by_structure, presence_of
from cardiacseg.phantom import beating_heart
from cardiacseg.segmenter import CardiacSegmenter

WAYS = ("off", "auto")
_STILL_FRAMES = 8


@dataclass(frozen=True, eq=False)
class LabelledCine:
    """``image`` and ``labels`` are ``[T, S, H, W]``; ``condition`` names the change of the image."""

    condition: str
    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class TemporalScore:
    """One run on one cine. ``wrong`` of ``decisions`` (frame, slice, structure) on presence differ from the truth's.

    ``flicker``: the number of changes of presence from one frame to the next, around the cycle, minus that of the
    truth, summed over slices and structures. ``dice`` is the mean over frames and structures. ``errors``: measured
    minus true values of :data:`MEASURES`.
    """

    condition: str
    way: str
    wrong: int
    decisions: int
    flicker: int
    dice: float
    errors: Mapping[str, float]


def switches(present: np.ndarray) -> np.ndarray:
    """Number of changes of ``present`` ``[T, S, 3]`` from frame to frame around the cycle, ``[S, 3]``."""
    return (present != np.roll(present, 1, axis=0)).sum(axis=0)


def score(cine: LabelledCine, way: str, labels: np.ndarray) -> TemporalScore:
    """Compare ``labels`` with the cine's truth."""
    present, expected = (np.stack([presence_of(frame) for frame in part]) for part in (labels, cine.labels))
    ours, truth = (measure(part, cine.spacing) for part in (labels, cine.labels))
    pairs = zip(labels, cine.labels, strict=True)
    return TemporalScore(
        condition=cine.condition,
        way=way,
        wrong=int((present != expected).sum()),
        decisions=present.size,
        flicker=int(np.maximum(switches(present) - switches(expected), 0).sum()),
        dice=float(np.mean([list(dice_by_structure(*pair).values()) for pair in pairs])),
        errors={name: _difference(getattr(ours, name), getattr(truth, name)) for name in MEASURES},
    )


def _difference(ours: float | None, truth: float | None) -> float:
    return np.nan if ours is None or truth is None else ours - truth


def beating_cines(frames: int = 25, people: Iterable[int] = range(100, 106, 2)) -> Iterator[LabelledCine]:
    """Synthetic hearts whose base moves: unperturbed, with much noise, and with noise and motion in some images."""
    for person in people:
        heart = beating_heart(frames, 10, (144, 144), (9.0, 2.0, 2.0), person)
        random = np.random.default_rng(person)
        still = heart.image.astype(np.float32)
        for condition, image in {
            "synthetic, as it is": still,
            "synthetic, noise": add_noise(still, random, 0.15),
            "synthetic, noise and motion": add_noise(move_through_plane(still, random), random, 0.1),
        }.items():
            yield LabelledCine(condition, image, heart.labels, heart.spacing)


def move_through_plane(image: np.ndarray, random: np.random.Generator, fraction: float = 0.2) -> np.ndarray:
    """In a random ``fraction`` of the images ``[T, S, H, W]`` 60 % of the signal comes from the adjacent slices."""
    moved = image.copy()
    last = image.shape[1] - 1
    for t, s in zip(*np.nonzero(random.random(image.shape[:2]) < fraction), strict=True):
        moved[t, s] = 0.4 * image[t, s] + 0.3 * image[t, max(s - 1, 0)] + 0.3 * image[t, min(s + 1, last)]
    return moved


def still_cines(frames: Sequence[LabelledFrame], progress: Progress | None = None) -> Iterator[LabelledCine]:
    """Each labelled stack repeated as a cine, unperturbed, and with other noise in each frame."""
    for frame in with_progress(frames, progress):
        stack = read_labelled_frame(frame)
        random = np.random.default_rng(zlib.crc32(frame.name.encode()))
        image, labels = (np.repeat(part[None], _STILL_FRAMES, axis=0) for part in (stack.image, stack.labels))
        yield LabelledCine("repeated stacks, as they are", image, labels, stack.spacing)
        yield LabelledCine("repeated stacks, noise", add_noise(image, random, 0.07), labels, stack.spacing)


def run_temporal_trials(cines: Iterable[LabelledCine], segmenter: CardiacSegmenter) -> list[TemporalScore]:
    """Run on every cine without and with temporal presence."""
    scores = []
    for cine in cines:
        for way in WAYS:
            result = segmenter.run(cine.image, spacing=cine.spacing, temporal=way)
            scores.append(score(cine, way, result.labels))
    return scores


def temporal_summary(scores: Sequence[TemporalScore]) -> list[dict]:
    """One row for each condition and way: means over cines, and the mean absolute errors."""
    rows = []
    for condition in dict.fromkeys(score.condition for score in scores):
        for way in WAYS:
            found = [score for score in scores if (score.condition, score.way) == (condition, way)]
            rows.append(
                {
                    "condition": condition,
                    "temporal": way,
                    "cines": len(found),
                    "presence_wrong": sum(row.wrong for row in found) / sum(row.decisions for row in found),
                    "flicker": sum(row.flicker for row in found) / len(found),
                    "dice": float(np.mean([row.dice for row in found])),
                    **{name: _mean_size([row.errors[name] for row in found]) for name in MEASURES},
                }
            )
    return rows


def _mean_size(errors: Sequence[float]) -> float:
    known = np.abs([error for error in errors if np.isfinite(error)])
    return float(known.mean()) if len(known) else np.nan


def _shown(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.1f}"


def temporal_document(
    frames: Sequence[LabelledFrame], segmenter: CardiacSegmenter, say: Callable[[str], Progress]
) -> list[dict]:
    """:func:`temporal_summary` of synthetic hearts and of the labelled stacks."""
    scores = run_temporal_trials(beating_cines(), segmenter)
    return temporal_summary(scores + run_temporal_trials(still_cines(frames, say("repeated stacks")), segmenter))


def temporal_table(rows: Sequence[Mapping]) -> str:
    """A :func:`temporal_summary` as Markdown."""
    errors = ("Mean error of LV EDV, ESV in ml, EF in points", "RV")
    heads = ["Cines", "`temporal`", "presence wrong", "extra changes", "Dice", *errors]
    cells = []
    for row in rows:
        sides = [
            ", ".join(_shown(row[f"{side}_{name}"]) for name in ("edv_ml", "esv_ml", "ef_percent"))
            for side in ("lv", "rv")
        ]
        wrong = f"{100 * row['presence_wrong']:.2f} %"
        cells.append([row["condition"], row["temporal"], wrong, f"{row['flicker']:.1f}", f"{row['dice']:.4f}", *sides])
    return table(heads, cells)
