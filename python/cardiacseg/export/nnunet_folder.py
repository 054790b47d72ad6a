"""The folder in which nnU-Net v2 left a trained model, read and checked as far as that goes without torch.

``plans.json`` and ``dataset.json`` say how a network sees an image and what its outputs are; what the runtime cannot
do in the same way is refused. Checked against nnU-Net 2.8.1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.json_files import read_json
from cardiacseg.io.labelled import label_mapping

ARCHITECTURES = ("PlainConvUNet", "ResidualEncoderUNet")
STRUCTURES = ("RV", "MYO", "LV")
_READERS = ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient")
_RESAMPLING = "resample_data_or_seg_to_shape"


@dataclass(frozen=True)
class NnunetModel:
    """What a bundle needs of a model of nnU-Net beside its weights.

    ``spacing_mm`` and ``window_pixels`` are (row, column); ``outputs`` are the network's outputs of background, RV,
    MYO and LV; ``arguments`` are those of ``architecture``, with classes as nnU-Net names them; ``facts`` are for the
    model card.
    """

    checkpoint: Path
    configuration: str
    spacing_mm: tuple[float, float]
    window_pixels: tuple[int, int]
    nonzero_mask: bool
    image_order: int
    logits_order: int
    architecture: str
    arguments: Mapping[str, Any]
    outputs: tuple[int, int, int, int]
    facts: Mapping[str, Any]


def read_nnunet_folder(
    folder: Path,
    fold: str | None = None,
    checkpoint: str = "checkpoint_final.pth",
    configuration: str = "2d",
    labels: Mapping[str, int] | None = None,
) -> NnunetModel:
    """Read what lies in ``folder`` (``plans.json``, ``dataset.json``, ``fold_K/``).

    ``fold`` may be left out if one fold has the checkpoint. ``labels`` (``{"RV": 1, "MYO": 2, "LV": 3}``) stand for
    the names in ``dataset.json``. Raises ``InvalidInputError`` for a file that is missing or damaged, and for a model
    that the runtime cannot run as nnU-Net does.
    """
    plans, dataset = _document(folder, "plans.json"), _document(folder, "dataset.json")
    path = folder / "plans.json"
    rules = _configuration(plans, configuration, path)
    _check_kind(plans, rules, configuration, path)
    _check_channels(dataset, folder / "dataset.json")
    outputs = _outputs(dataset, labels, folder / "dataset.json")
    window = _numbers(rules, "patch_size", int, (8, 2048), path)
    architecture, arguments = _architecture(rules, path)
    _check_strides(arguments, window, path)
    return NnunetModel(
        checkpoint=_checkpoint(folder, fold, checkpoint),
        configuration=configuration,
        spacing_mm=_numbers(rules, "spacing", float, (0.1, 20), path),
        window_pixels=window,
        nonzero_mask=_normalization(rules, path),
        image_order=_order(rules, "data", path),
        logits_order=_order(rules, "probabilities", path),
        architecture=architecture,
        arguments=arguments,
        outputs=outputs,
        facts=_facts(folder, plans, dataset),
    )


def refuse(path: Path, expected: str, got: object) -> InvalidInputError:
    """The error to raise for a file of the folder."""
    return InvalidInputError(f"{path}: expected {expected}, got {got}")


def _document(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise refuse(path, "a file of nnU-Net's model folder", "nothing")
    document = read_json(path)
    if not isinstance(document, dict):
        raise refuse(path, "an object", type(document).__name__)
    return document


def _configuration(plans: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """The plan of one configuration, with what it inherits."""
    every = plans.get("configurations")
    if not isinstance(every, dict):
        raise refuse(path, 'an object "configurations"', repr(every))
    chain: list[dict[str, Any]] = []
    seen: list[str] = []
    current: object = name
    while current is not None:
        if not isinstance(current, str) or not isinstance(every.get(current), dict) or current in seen:
            raise refuse(path, f"a configuration {current!r}", f"only {', '.join(map(str, every)) or 'none'}")
        seen.append(current)
        chain.append(every[current])
        current = every[current].get("inherits_from")
    return {key: value for part in reversed(chain) for key, value in part.items()}


def _check_kind(plans: dict[str, Any], rules: dict[str, Any], name: str, path: Path) -> None:
    patch = rules.get("patch_size")
    if isinstance(patch, list) and len(patch) == 3:
        raise refuse(path, "a 2-D configuration", f"{name!r}, which is 3-D")
    if rules.get("previous_stage") is not None:
        raise refuse(path, "a configuration without a previous stage", f"{name!r}, which is a cascade's")
    facts = {
        "transpose_forward": (plans.get("transpose_forward"), ([0, 1, 2],)),
        "label_manager": (plans.get("label_manager", "LabelManager"), ("LabelManager",)),
        "image_reader_writer": (plans.get("image_reader_writer"), _READERS),
        "preprocessor_name": (rules.get("preprocessor_name"), ("DefaultPreprocessor",)),
    }
    for key, (value, known) in facts.items():
        if value not in known:
            raise refuse(path, f'"{key}" {" or ".join(map(str, known))}', repr(value))


def _check_channels(dataset: dict[str, Any], path: Path) -> None:
    channels = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(channels, dict) or len(channels) != 1:
        found = ", ".join(map(str, channels.values())) if isinstance(channels, dict) else repr(channels)
        raise refuse(path, "one input channel", found)


def _outputs(dataset: dict[str, Any], given: Mapping[str, int] | None, path: Path) -> tuple[int, int, int, int]:
    """The network's output of background, RV, MYO and LV: nnU-Net's outputs are in the order of its labels."""
    named = dataset.get("labels")
    if not isinstance(named, dict):
        raise refuse(path, 'an object "labels"', repr(named))
    if dataset.get("regions_class_order") is not None or any(isinstance(value, list) for value in named.values()):
        raise refuse(path, "labels of one number each", "regions, of which a voxel can have several")
    trained = {name: value for name, value in named.items() if name != "ignore"}
    if given is None:
        found = {ours: theirs for theirs, ours in label_mapping({"labels": trained}, path).items()}
    else:
        found = {0: 0, **{index: given[name] for index, name in enumerate(STRUCTURES, start=1)}}
    numbers = sorted(trained.values(), key=str)
    if sorted(found.values()) != [0, 1, 2, 3] or numbers != [0, 1, 2, 3]:
        got = f"{trained}" if given is None else f"{dict(given)} for the labels {trained}"
        raise refuse(path, "the labels 0 to 3 for background, RV, myocardium and LV", got)
    return found[0], found[1], found[2], found[3]


def _numbers(rules: dict[str, Any], key: str, kind: type, limits: tuple[float, float], path: Path) -> tuple[Any, Any]:
    """Rows and columns; the runtime refuses a bundle beyond the largest, and no image has pixels below the smallest."""
    pair = rules.get(key)
    smallest, largest = limits
    fits = isinstance(pair, list) and len(pair) == 2
    if not fits or not all(
        isinstance(value, (int, kind)) and not isinstance(value, bool) and smallest <= value <= largest
        for value in pair
    ):
        raise refuse(path, f'two numbers from {smallest} to {largest} as "{key}", rows and columns', repr(pair))
    return kind(pair[0]), kind(pair[1])


def _normalization(rules: dict[str, Any], path: Path) -> bool:
    """Whether mean and standard deviation are those of the voxels that are not 0."""
    if rules.get("normalization_schemes") != ["ZScoreNormalization"]:
        raise refuse(path, "the normalization ZScoreNormalization", rules.get("normalization_schemes"))
    masks = rules.get("use_mask_for_norm")
    if masks not in ([True], [False]):
        raise refuse(path, '"use_mask_for_norm" [true] or [false]', repr(masks))
    return bool(masks[0])


def _order(rules: dict[str, Any], what: str, path: Path) -> int:
    """The order of the spline by which ``what`` is resampled."""
    function, options = rules.get(f"resampling_fn_{what}"), rules.get(f"resampling_fn_{what}_kwargs")
    if function != _RESAMPLING or not isinstance(options, dict):
        raise refuse(path, f"resampling of {what} by {_RESAMPLING}", function)
    order = options.get("order", 3)
    if order not in (1, 3) or options.get("is_seg", False) or options.get("force_separate_z", False) is not None:
        expected = f"resampling of {what} with order 1 or 3, is_seg false and force_separate_z null"
        raise refuse(path, expected, options)
    return int(order)


def _architecture(rules: dict[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """Class and arguments of the network. Plans of nnU-Net before 2.4 have its sizes alone."""
    plan = rules.get("architecture")
    if plan is None:
        plan = _older_architecture(rules, path)
    arguments = plan.get("arch_kwargs") if isinstance(plan, dict) else None
    name = str(plan.get("network_class_name")) if isinstance(plan, dict) else repr(plan)
    module, _, last = name.rpartition(".")
    if last not in ARCHITECTURES or not f"{module}.".startswith("dynamic_network_architectures."):
        raise refuse(path, f"the architecture {' or '.join(ARCHITECTURES)}", name)
    if not isinstance(arguments, dict):
        raise refuse(path, 'an object "arch_kwargs"', repr(arguments))
    return last, arguments


def _older_architecture(rules: dict[str, Any], path: Path) -> dict[str, Any]:
    name = rules.get("UNet_class_name")
    try:
        convolutions = rules["n_conv_per_stage_encoder"]
        width, most = rules["UNet_base_num_features"], rules["unet_max_num_features"]
        arguments = {
            "n_stages": len(convolutions),
            "features_per_stage": [min(width * 2**stage, most) for stage in range(len(convolutions))],
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": rules["conv_kernel_sizes"],
            "strides": rules["pool_op_kernel_sizes"],
            "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": convolutions,
            "n_conv_per_stage_decoder": rules["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        }
    except (KeyError, TypeError) as error:
        raise refuse(path, "the network's architecture", f"none: {error}") from error
    return {"network_class_name": f"dynamic_network_architectures.architectures.unet.{name}", "arch_kwargs": arguments}


def _check_strides(arguments: dict[str, Any], window: Sequence[int], path: Path) -> None:
    """Refuse a window that the network cannot halve level by level: its skips would not fit."""
    strides = arguments.get("strides")
    try:
        pairs = [(stride, stride) if isinstance(stride, int) else tuple(map(int, stride)) for stride in strides]
        total = [1, 1]
        for rows, columns in pairs:
            total = [total[0] * rows, total[1] * columns]
        fits = all(size % step == 0 for size, step in zip(window, total, strict=True))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise refuse(path, 'a stride or two for each level as "strides"', repr(strides)) from error
    if not fits:
        raise refuse(path, f"a patch size whose sides are multiples of {total}", list(window))


def _checkpoint(folder: Path, fold: str | None, name: str) -> Path:
    if re.fullmatch(r"[\w.-]+", name) is None:
        raise InvalidInputError(f"checkpoint: expected the name of a file, got {name!r}")
    if fold is not None:
        path = folder / f"fold_{fold}" / name
        if re.fullmatch(r"\d+|all", fold) is None or not path.is_file():
            raise refuse(path, "a checkpoint", "nothing")
        return path
    found = sorted(path for path in folder.glob(f"fold_*/{name}") if path.is_file())
    if not found:
        raise refuse(folder / "fold_0" / name, "a checkpoint, there or of another fold", "nothing")
    if len(found) > 1:
        folds = ", ".join(path.parent.name.removeprefix("fold_") for path in found)
        raise InvalidInputError(f"{folder}: expected --fold with one of the folds {folds}: a bundle holds one network")
    return found[0]


def _facts(folder: Path, plans: dict[str, Any], dataset: dict[str, Any]) -> dict[str, Any]:
    """What the files say of the training data; ``dataset_fingerprint.json`` may be missing."""
    name = plans.get("dataset_name") or dataset.get("name") or "nnU-Net"
    facts = {"data": str(name), "stacks": dataset.get("numTraining")}
    if (folder / "dataset_fingerprint.json").is_file():
        path = folder / "dataset_fingerprint.json"
        spacings = _document(folder, path.name).get("spacings")
        try:
            median = [sorted(map(float, axis))[len(axis) // 2] for axis in zip(*spacings, strict=True)]
        except (TypeError, ValueError) as error:
            raise refuse(path, 'a list of spacings as "spacings"', repr(spacings)[:40]) from error
        facts["median spacing, mm"] = " x ".join(f"{value:.3g}" for value in median)
    return {key: value for key, value in facts.items() if value is not None}
