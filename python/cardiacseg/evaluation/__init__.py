"""Accuracy of a bundle on labelled stacks, through the runtime and on the images' own grids."""

from cardiacseg.evaluation.cases import CaseScore
from cardiacseg.evaluation.runs import calibrate, evaluate, run_trials
from cardiacseg.evaluation.summary import Evaluation

__all__ = ["CaseScore", "Evaluation", "calibrate", "evaluate", "run_trials"]
