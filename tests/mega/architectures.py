"""The fixed architectures, and small networks of all."""

import torch

from genoevo_mega.agents.replay import Batch
from genoevo_mega.networks import ARCHITECTURES

FIXED = [name for name in ARCHITECTURES if name != "mega"]
SMALL = {
    "mlp": {"layers": [7, 6]},
    "soft_modules": {"width": 8, "module_width": 6, "gating_width": 5, "layers": 3, "modules": 2},
    "paco": {"layers": [7, 6], "sets": 3},
    "moore": {"layers": [7, 6], "experts": 3},
    "d2r": {"width": 8, "module_width": 6, "gating_width": 5, "modules": 5, "sources": 2},
}


def random_batch():
    """Transitions of two tasks of Meta-World, the same ones in every call."""
    rng = torch.Generator().manual_seed(0)
    shape = 2, 16
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng) * 2 - 1,
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, 0.99),
        torch.zeros(shape, dtype=torch.int64),
    )
