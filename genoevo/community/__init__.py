"""The community of MEGA: one population of genotypes per task, mating across tasks, stages that grow."""

from genoevo.community.by_record import RecordRound
from genoevo.community.candidates import Candidates
from genoevo.community.community import Community
from genoevo.community.fitness import FitnessRecord
from genoevo.community.frontier import Frontier
from genoevo.community.growth_rule import Growth
from genoevo.community.populations import TaskPopulations
from genoevo.community.record_community import RecordCommunity, Start
from genoevo.community.round import Round
from genoevo.community.settings import Decoding, Mating, Selection

__all__ = [
    "Candidates",
    "Community",
    "Decoding",
    "FitnessRecord",
    "Frontier",
    "Growth",
    "Mating",
    "RecordCommunity",
    "RecordRound",
    "Round",
    "Selection",
    "Start",
    "TaskPopulations",
]
