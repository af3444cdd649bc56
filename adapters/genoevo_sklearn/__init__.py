"""Feature selection and search of parameters and architectures, as estimators of scikit-learn."""

from genoevo_sklearn.feature_selector import GeneticFeatureSelector
from genoevo_sklearn.search_cv import GeneticSearchCV
from genoevo_sklearn.space import Categorical, Choice, Float, Graph, Integer, ListOf, Option, Space

__all__ = [
    "Categorical",
    "Choice",
    "Float",
    "GeneticFeatureSelector",
    "GeneticSearchCV",
    "Graph",
    "Integer",
    "ListOf",
    "Option",
    "Space",
]
