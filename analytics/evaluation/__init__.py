"""How good our answers are: location and the baselines on the same reads, and every other table that has a truth."""

from analytics.evaluation.compare import OURS, OURS_IN_HINDSIGHT, Estimator, Report, Score, evaluate, score
from analytics.evaluation.day import DayReport, DayTruth, evaluate_day, read_day_truth
from analytics.evaluation.day_tables import day_tables
from analytics.evaluation.sensitivity import SENSITIVITIES
from analytics.evaluation.tables import confusion_table, reliability_table, score_table, sensitivity_table
from analytics.evaluation.timeline import EvaluationError, Frame, Timeline

__all__ = [
    "OURS",
    "OURS_IN_HINDSIGHT",
    "SENSITIVITIES",
    "DayReport",
    "DayTruth",
    "Estimator",
    "EvaluationError",
    "Frame",
    "Report",
    "Score",
    "Timeline",
    "confusion_table",
    "day_tables",
    "evaluate",
    "evaluate_day",
    "read_day_truth",
    "reliability_table",
    "score",
    "score_table",
    "sensitivity_table",
]
