"""The files of ``tools/evaluate.py --output``."""

from pathlib import Path

from cardiacseg.evaluation.paper import PaperRow
from cardiacseg.evaluation.plots import bland_altman_plot, level_bars, reliability_diagram
from cardiacseg.evaluation.summary import Evaluation
from cardiacseg.evaluation.tables import cases_csv
from cardiacseg.evaluation.worst_cases import worst_cases_picture
from cardiacseg.io.json_files import write_json

REPORT_FILES = ("cases.csv", "summary.json", "bland_altman.png", "levels.png", "worst_cases.png", "reliability.png")


def write_report(folder: Path, evaluation: Evaluation, document: dict, paper: PaperRow | None) -> None:
    """Write :data:`REPORT_FILES` of an evaluation with probabilities; ``document`` becomes ``summary.json``."""
    write_json(folder / "summary.json", document)
    contents = {
        "cases.csv": cases_csv(evaluation.cases),
        "bland_altman.png": bland_altman_plot(evaluation.patients),
        "levels.png": level_bars(document["dice"], paper),
        "worst_cases.png": worst_cases_picture(evaluation.cases),
        "reliability.png": reliability_diagram(evaluation.reliability),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
