"""The fixed architectures, and small networks of all."""

from genoevo_mega.networks import ARCHITECTURES

FIXED = [name for name in ARCHITECTURES if name != "mega"]
SMALL = {
    "mlp": {"layers": [7, 6]},
    "soft_modules": {"width": 8, "module_width": 6, "gating_width": 5, "layers": 3, "modules": 2},
    "paco": {"layers": [7, 6], "sets": 3},
    "moore": {"layers": [7, 6], "experts": 3},
    "d2r": {"width": 8, "module_width": 6, "gating_width": 5, "modules": 5, "sources": 2},
}
