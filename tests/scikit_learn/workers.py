"""Estimators that worker processes import."""

import os
import signal
import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Layered(ClassifierMixin, BaseEstimator):
    """A classifier whose score is a function of its parameters alone."""

    def __init__(self, depth=1, width=None, layers=()):
        self.depth, self.width, self.layers = depth, width, layers

    def fit(self, X, y):  # noqa: N803
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):  # noqa: N803
        rates = [layer["units"] * layer["rate"] for layer in self.layers]
        return float(np.mean(rates)) / self.depth + (self.width or 0) / 10


class Interrupting(Layered):
    """A classifier whose *at*-th fit gets what Ctrl-C sends."""

    fits, at = 0, 0

    def fit(self, X, y):  # noqa: N803
        Interrupting.fits += 1
        if Interrupting.fits == Interrupting.at:
            signal.raise_signal(signal.SIGINT)
        return super().fit(X, y)


class Ending(Layered):
    """A classifier that ends its process if its number is 1."""

    def __init__(self, number=0):
        self.number = number

    def fit(self, X, y):  # noqa: N803
        if self.number:
            self.misbehave()
        return super().fit(X, y)

    def misbehave(self):
        os._exit(3)

    def score(self, X, y):  # noqa: N803
        return 1.0


class Sleeping(Ending):
    """A classifier that never returns if its number is 1."""

    def misbehave(self):
        time.sleep(1000)
