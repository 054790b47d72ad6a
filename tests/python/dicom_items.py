"""What a structured report holds, read without the library that wrote it, and other people's command line tools."""

import shutil
import subprocess

import pytest


def code_of(sequence):
    return sequence[0].CodeValue, sequence[0].CodingSchemeDesignator


def items(item):
    """The content item and all below it."""
    yield item
    for inner in item.get("ContentSequence", ()):
        yield from items(inner)


def of_type(report, value_type, concept):
    """Content items with this type and code, in the report's order."""
    found = [item for item in items(report) if item.get("ValueType") == value_type]
    return [item for item in found if code_of(item.ConceptNameCodeSequence)[0] == concept]


def measured(report, concept):
    """Value and unit of every number with this code."""
    values = [item.MeasuredValueSequence[0] for item in of_type(report, "NUM", concept)]
    return [(float(value.NumericValue), code_of(value.MeasurementUnitsCodeSequence)[0]) for value in values]


def tool(name, *words):
    """Exit status and all output of a program of the system, which may be missing."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    run = subprocess.run([name, *map(str, words)], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def errors_of_dciodvfy(path):
    """The lines of dicom3tools' verdict that begin with Error."""
    _, said = tool("dciodvfy", path)
    assert said.strip()
    return [line for line in said.splitlines() if line.startswith("Error")]
