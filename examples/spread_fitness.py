"""The same search with its fitness evaluated in this process, in worker processes, or on a Ray cluster."""

import argparse
import math
from contextlib import nullcontext

import numpy as np

from genoevo import Evolution, Population
from genoevo.decode import gene_values
from genoevo.evaluation import Failure, InProcess
from genoevo.pools import ProcessPool, RayPool

TARGET = 30.0  # metres


def simulate(genotype):
    """Return the distance in metres between the target and where a ball thrown with drag lands.

    A genotype has 16 bits of angle and 16 bits of speed.
    """
    angle, speed = gene_values(Population.from_genotypes([genotype]), 16)[0] / 65535
    vx, vy = (40 * speed * part(angle * math.pi / 2) for part in (math.cos, math.sin))
    x, y, step = 0.0, 0.0, 0.002
    while y >= 0:
        drag = 0.02 * math.hypot(vx, vy)
        vx, vy = vx - step * drag * vx, vy - step * (9.81 + drag * vy)
        x, y = x + step * vx, y + step * vy
    return abs(x - TARGET)


def main():
    """Evolve a throw that hits the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=["this", "processes", "ray"], default="processes", help="where to simulate")
    parser.add_argument("--workers", type=int, help="processes or actors; one per core by default")
    parser.add_argument("--address", help="Ray cluster to join, such as auto; by default Ray starts on this machine")
    parser.add_argument("--generations", type=int, default=30)
    chosen = parser.parse_args()

    settings = {"workers": chosen.workers, "timeout": 60, "failure": Failure(action="worst", retries=1)}
    if chosen.by == "this":
        evaluator = nullcontext(InProcess(simulate))
    elif chosen.by == "processes":
        evaluator = ProcessPool(simulate, **settings)
    else:
        if chosen.address:
            import ray

            ray.init(address=chosen.address)
        evaluator = RayPool(simulate, **settings)

    start = Population.random(40, 32, np.random.default_rng(1), weights=(-1.0,))
    with evaluator as evaluate:
        evolution = Evolution(evaluate, start, seed=1)
        evolution.run(chosen.generations)
    print(f"{evolution.evaluations} throws, the best {evolution.best.fitness.values[0]:.4f} m from the target")


if __name__ == "__main__":  # worker processes import this file
    main()
