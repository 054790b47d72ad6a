"""What is installed on this machine: versions, backends and bundled models."""

import json
import platform
from pathlib import Path

from cardiacseg import _core
from cardiacseg.io.report import RESEARCH_USE, versions


def describe_installation() -> dict:
    """JSON-ready facts about this installation. Reads manifests only and loads no model."""
    return {
        "core_version": _core.__version__,
        "versions": versions(),
        "platform": platform.platform(),
        "backends": [dict(backend) for backend in _core.list_backends()],
        "models": bundled_models(Path(__file__).with_name("bundles")),
        "intended_use": RESEARCH_USE,
    }


def bundled_models(folder: Path) -> list[dict]:
    """Name, version, model, licence and temperature (``None`` without) of each bundle in ``folder``.

    They come from its manifest; a damaged one is named so.
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
