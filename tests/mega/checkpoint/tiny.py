"""A run that is over in a moment, and what its checkpoints are looked at and spoilt with."""

import json

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_runs import files, manifest

TINY = {
    "suite": "drawer-close-v3",
    "steps": 60,
    "environment": {"episode_length": 10, "goals": 2},
    "network": {"width": 8, "hidden": 4},
    "genotypes": {"update_with": "stored"},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 10, "batch_size": 4, "buffer_size": 500},
    "evaluation": {"at_end": False},
    "checkpoints": {"every": 10, "keep": 2},
}


def train(directory, **settings):
    config = build_config(preset("smoke"), TINY, settings)
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    trainer.run(config.steps)
    return trainer


def names(run):
    return [path.name for path in manifest.newest_first(run)]


def newest(run):
    return manifest.newest_first(run)[0]


def segments(path):
    return manifest.read(path, CHECKPOINT).replay


def resumed_to(run, steps):
    told = []
    trainer = runs.resume(run, tell=told.append)
    trainer.run(steps)
    return trainer, told


def load_one(run, path):
    trainer = runs.Trainer(runs.open_config(run), run)
    checkpoint.load_one(trainer.state, run, path, trainer.config, trainer.suite)


FILES = [
    "config.yaml",
    "run.json",
    "metrics.jsonl",
    *(
        f"checkpoints/000000000050/{name}"
        for name in ("agent.safetensors", "arrays.safetensors", "community.npz", "state.json", "manifest.json")
    ),
]


def rewritten(path, change):
    """The manifest of a checkpoint after *change*, its checksum made to fit: what a forger would do."""
    content = json.loads((path / "manifest.json").read_text())
    del content["checksum"]
    change(content)
    content["checksum"] = manifest.checksum(content)
    (path / "manifest.json").write_text(json.dumps(content))


def resealed(path):
    """The manifest made to fit files that were changed."""

    def change(content):
        for entry in content["files"]:
            entry["size"] = (path / entry["name"]).stat().st_size
            entry["sha256"] = files.sha256(path / entry["name"])

    rewritten(path, change)


def huge_npy(shape="(1000000000000,)"):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
