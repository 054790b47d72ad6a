"""Accuracy of a bundle on labelled stacks, through the runtime and on the images' own grids."""

from cardiacseg.evaluation.cases import CaseScore
from cardiacseg.evaluation.fitting import calibrate
from cardiacseg.evaluation.runs import evaluate
from cardiacseg.evaluation.summary import Evaluation
from cardiacseg.evaluation.trials import run_trials

__all__ = ["CaseScore", "Evaluation", "calibrate", "evaluate", "run_trials"]
