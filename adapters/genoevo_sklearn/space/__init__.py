"""Spaces of parameters and architectures, encoded in genotypes."""

from genoevo_sklearn.space.space import Space
from genoevo_sklearn.space.structures import Choice, Graph, ListOf, Option
from genoevo_sklearn.space.values import Categorical, Float, Integer

__all__ = ["Categorical", "Choice", "Float", "Graph", "Integer", "ListOf", "Option", "Space"]
