"""The Open Recon package: its label, its parameters, its manual and its zip.

The public schema of the label, OpenReconSchema_1.1.0.json, is Siemens' and states no licence, so it is not part of this
repository. The rules below are those that it states; ``CARDIACSEG_TEST_OPENRECON_SCHEMA`` names a copy to check with.
"""

import base64
import json
import os
import re
import runpy
import zipfile
from pathlib import Path

import pytest

from cardiacseg import __version__
from cardiacseg.cli.parser import build_parser
from cardiacseg.network.mrd.parameters import Parameters, with_json

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
FOLDER = Path(__file__).parents[2] / "deploy/openrecon"
SCHEMA = os.environ.get("CARDIACSEG_TEST_OPENRECON_SCHEMA")
TEXT, WHOLE, SWITCH, WORDS = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"$ref": "#/$defs/words"}


def closed(required, optional=(), **known):
    """An object with these keys and no others."""
    keys = {**dict.fromkeys((*required, *optional), TEXT), **known}
    return {"type": "object", "required": list(required), "properties": keys, "additionalProperties": False}


def parameter(kind, required, default, **known):
    shared = {"type": {"const": kind}, "id": {"pattern": "^[A-Za-z0-9]+$"}, "label": WORDS, "information": WORDS}
    return closed(("type", "id", "label", "default", *required), ("information",), **shared, default=default, **known)


REGULATORY = (
    *("device_trade_name", "production_identifier", "manufacturer_address", "made_in", "manufacture_date"),
    *("material_number", "gtin", "udi", "safety_advices", "special_operating_instructions"),
    "additional_relevant_information",
)
CHOICES = {"type": "array", "minItems": 1, "items": closed(("id", "name"), name=WORDS)}
PROTOCOL = {"const": {"protocol": "ISMRMRD", "version": "1.4.1"}}
RULES = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$defs": {"words": {"type": "object", "required": ["en"], "properties": {"en": TEXT}}},
    **closed(
        ("general", "reconstruction", "parameters"),
        general=closed(
            ("name", "version", "vendor", "information", "id", "regulatory_information"),
            name=WORDS,
            information=WORDS,
            version={"pattern": r"^\d+\.\d+\.\d+$"},
            regulatory_information=closed(REGULATORY),
        ),
        reconstruction=closed(
            ("transfer_protocol", "port", "emitter", "injector", "can_use_gpu", "min_required_memory",
             "min_count_required_cpu_cores"),
            transfer_protocol=PROTOCOL,
            port=WHOLE,
            emitter={"enum": ["raw", "image"]},
            injector={"enum": ["compleximage", "image"]},
            can_use_gpu=SWITCH,
            can_process_adjustment_data=SWITCH,
            min_count_required_gpus={**WHOLE, "minimum": 0},
            min_required_gpu_memory={**WHOLE, "minimum": 0},
            min_required_memory={**WHOLE, "minimum": 0},
            min_count_required_cpu_cores={**WHOLE, "minimum": 1},
            content_qualification_type={"enum": ["PRODUCT", "SERVICE", "RESEARCH"]},
        ),
        parameters={
            "type": "array",
            "maxItems": 14,
            "uniqueItems": True,
            "items": {
                "oneOf": [
                    parameter("boolean", (), SWITCH),
                    parameter("choice", ("values",), TEXT, values=CHOICES),
                    parameter("int", ("minimum", "maximum"), WHOLE, minimum=WHOLE, maximum=WHOLE),
                ]
            },
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(FOLDER / "package.py"))


@pytest.fixture(scope="module")
def label(tool):
    return tool["label"]()


def test_the_label_follows_the_rules(label):
    jsonschema.Draft7Validator.check_schema(RULES)
    assert list(jsonschema.Draft7Validator(RULES).iter_errors(label)) == []
    assert list(jsonschema.Draft7Validator(RULES).iter_errors({**label, "more": 1}))  # the rules can refuse
    assert len({parameter["id"].lower() for parameter in label["parameters"]}) == len(label["parameters"])


@pytest.mark.skipif(not SCHEMA, reason="CARDIACSEG_TEST_OPENRECON_SCHEMA names no OpenReconSchema_1.1.0.json")
def test_the_label_follows_the_schema(label):
    schema = json.loads(Path(SCHEMA).read_text(encoding="utf-8"))
    assert list(jsonschema.Draft7Validator(schema).iter_errors(label)) == []


def test_the_label_is_of_this_version_and_for_research(label):
    assert label["general"]["version"] == __version__
    assert label["general"]["regulatory_information"]["production_identifier"] == __version__
    assert label["reconstruction"]["content_qualification_type"] == "RESEARCH"
    assert "Not a medical device" in label["general"]["information"]["en"]


def values_of(parameter):
    if parameter["type"] == "int":
        return [parameter["minimum"], parameter["maximum"]]
    return [True, False] if parameter["type"] == "boolean" else [value["id"] for value in parameter["values"]]


def test_the_server_knows_every_parameter_and_value(label):
    for parameter in label["parameters"]:
        assert parameter["default"] in values_of(parameter) or parameter["type"] == "int"
        found = set()
        for value in values_of(parameter):
            for sent in (value, str(value)):  # as JSON types or as strings
                text = json.dumps({"version": "1.1.0", "parameters": {parameter["id"]: sent}})
                parameters, problems = with_json(Parameters(), text, ("default",))
                assert problems == []
                found.add(parameters)
        assert len(found) == len(values_of(parameter)), parameter["id"]  # each value means something else


def test_failures_are_told_as_this_host_expects(label):
    defaults = {parameter["id"]: parameter["default"] for parameter in label["parameters"]}
    parameters, _ = with_json(Parameters(), json.dumps({"parameters": {**defaults, "customconfig": ""}}), ("default",))
    assert parameters.config == "openrecon" and parameters.drops and parameters.results.overlay


def test_the_container_starts_the_server_on_the_port_of_the_label(tool, label):
    lines = (FOLDER / "Containerfile").read_text(encoding="utf-8").splitlines()
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    options = build_parser().parse_args(command)
    assert (options.host, options.port) == ("0.0.0.0", label["reconstruction"]["port"])
    assert f"EXPOSE {options.port}" in lines
    assert 'LABEL "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"="${METADATA}"' in lines
    assert json.loads(base64.b64decode(tool["metadata"]())) == label


def test_the_zip_holds_image_and_manual_under_the_names_that_are_demanded(tool, tmp_path):
    tag, stem = tool["names"]()
    assert tag == f"openrecon_cardiacseg_cardiacseg:v{__version__}" and re.fullmatch("[a-z0-9_:.]+", tag)
    (tmp_path / "saved").write_bytes(b"an image" * 1000)
    archive = tool["pack"](tmp_path / "saved", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{stem}.pdf", f"{stem}.zip"]
    with zipfile.ZipFile(archive) as packed:
        assert [(entry.filename, entry.compress_type) for entry in packed.infolist()] == [
            (f"{stem}.tar", zipfile.ZIP_DEFLATED),
            (f"{stem}.pdf", zipfile.ZIP_DEFLATED),
        ]
        assert packed.read(f"{stem}.tar") == b"an image" * 1000
        manual = packed.read(f"{stem}.pdf")
    assert stem == f"OpenRecon_cardiacseg_cardiacseg_V{__version__}" and manual.startswith(b"%PDF-1.")
    with pytest.raises(FileNotFoundError):
        tool["pack"](tmp_path / "absent", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.partial")) and archive.exists()


def test_the_manual_names_every_parameter(tool, label):
    manual = (FOLDER / "manual.md").read_text(encoding="utf-8")
    shown = [parameter["label"]["en"] for parameter in label["parameters"] if parameter["id"] != "config"]
    assert [name for name in shown if name not in manual] == []
    printed = "\n".join(line for line, _ in tool["manual_lines"](manual))
    assert "Not a medical device" in printed and "never run on a scanner" in printed.replace("\n", " ")
