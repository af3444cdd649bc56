"""Evaluation by worker processes, of this machine or of a Ray cluster.

The population is split into batches, which travel as packed words and lengths. A worker takes the next batch as
soon as it has answered the last. Rows keep their places, so neither the number of workers nor their speed changes
a result. A worker that hangs or ends is killed and replaced. Its batch is evaluated again, one genotype at a time,
so that the genotype at fault is known and no other fails with it.
"""

from genoevo.evaluation.pools import ProcessPool, RayPool

__all__ = ["ProcessPool", "RayPool"]
