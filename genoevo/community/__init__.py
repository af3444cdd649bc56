"""The community of MEGA: one population of genotypes per task, mating across tasks, stages that grow."""

from genoevo.community.community import Community
from genoevo.community.growth_rule import Growth
from genoevo.community.round import Round
from genoevo.community.settings import Decoding, Mating

__all__ = ["Community", "Decoding", "Growth", "Mating", "Round"]
