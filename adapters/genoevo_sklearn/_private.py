"""The parts of scikit-learn that this package uses and that are not public, all in this place.

They are as ``RandomizedSearchCV`` uses them, so that a fit, a score and a failure mean what they mean there.
"""

from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures as report_failures
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._set_output import _get_output_config as output_config
from sklearn.utils.metadata_routing import _routing_enabled as routing_enabled

__all__ = ["BaseSearchCV", "fit_and_score", "output_config", "report_failures", "routing_enabled", "safe_indexing"]
