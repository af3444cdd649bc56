"""Evolution: a genetic algorithm over one population, or over islands, with an ask-tell interface."""

from genoevo.evolution.constraints import Constraints
from genoevo.evolution.evolution import Callback, Evolution
from genoevo.evolution.history import PopulationStatistics
from genoevo.evolution.islands import Islands
from genoevo.evolution.lineage import Lineage
from genoevo.evolution.progress import ProgressBar
from genoevo.evolution.record import Memory, Record
from genoevo.evolution.resampling import Estimates, Resampling
from genoevo.evolution.rules import Selection, Survival
from genoevo.evolution.stops import Progress, Stop

__all__ = [
    "Callback",
    "Constraints",
    "Estimates",
    "Evolution",
    "Islands",
    "Lineage",
    "Memory",
    "PopulationStatistics",
    "Progress",
    "ProgressBar",
    "Record",
    "Resampling",
    "Selection",
    "Stop",
    "Survival",
]
