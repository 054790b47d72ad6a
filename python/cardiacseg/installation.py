"""Facts about the installation on this machine: versions, backends and bundled models."""

import json
import platform
from pathlib import Path
from typing import Any

from cardiacseg import _core
from cardiacseg.errors import Error
from cardiacseg.io.json_files import RESEARCH_USE, versions
from cardiacseg.segmenter import explain_device


def describe_installation() -> dict[str, Any]:
    """JSON-ready facts about this installation. No network is loaded on the CPU."""
    return {
        "core_version": _core.__version__,
        "versions": versions(),
        "platform": platform.platform(),
        "backends": [dict(backend) for backend in _core.list_backends()],
        "auto": _automatic_choice(),
        "compiled_networks": _compiled_networks(),
        "models": bundled_models(Path(__file__).with_name("bundles")),
        "intended_use": RESEARCH_USE,
    }


def _automatic_choice() -> dict[str, str | None]:
    """The choice of ``device="auto"`` and ``precision="auto"`` for the default model, or why there is none."""
    try:
        return dict(explain_device())
    except Error as error:
        return {"backend": None, "device": None, "reason": str(error), "precision": None, "precision_reason": None}


def _compiled_networks() -> dict[str, str | int | None]:
    """Networks compiled for the CPU: the folder of their files (``None``: none are kept) and the size limits."""
    folder = _core.compiled_networks_folder()
    files = list(folder.glob("*.blob")) if folder != Path() else []
    return {
        "folder": str(folder) if folder != Path() else None,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "limit_bytes": _core.CACHE_BYTES,
        "memory_limit_bytes": _core.COMPILED_BYTES,
    }


def bundled_models(folder: Path) -> list[dict[str, Any]]:
    """Name, version, model, licence and temperature (``None`` without) of each bundle in ``folder``.

    They come from its manifest; a damaged manifest is reported as such.
    """
    models = []
    for manifest in sorted(folder.glob("*/manifest.json")):
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            facts = {key: str(content[key]) for key in ("name", "version", "model", "licence")}
            temperature = content.get("temperature")
            models.append({**facts, "temperature": None if temperature is None else float(temperature)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            unknown = dict.fromkeys(("version", "model"), "unknown")
            damaged = {"licence": f"damaged manifest: {error}", "temperature": None}
            models.append({"name": manifest.parent.name, **unknown, **damaged})
    return models
