"""How good location is: ours and the baselines, scored on the same reads against the truth."""

from analytics.evaluation.compare import OURS, OURS_IN_HINDSIGHT, Estimator, Report, Score, evaluate, score
from analytics.evaluation.sensitivity import SENSITIVITIES
from analytics.evaluation.tables import confusion_table, reliability_table, score_table, sensitivity_table
from analytics.evaluation.timeline import EvaluationError, Frame, Timeline

__all__ = [
    "OURS",
    "OURS_IN_HINDSIGHT",
    "SENSITIVITIES",
    "Estimator",
    "EvaluationError",
    "Frame",
    "Report",
    "Score",
    "Timeline",
    "confusion_table",
    "evaluate",
    "reliability_table",
    "score",
    "score_table",
    "sensitivity_table",
]
