"""What leaves a run: policies to predict with, files to run elsewhere, films."""

from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.policies.export import Exported, export_tasks
from genoevo_mega.policies.policy import Policy, Trained, load_policy

__all__ = [
    "Exported",
    "FixedPolicy",
    "ModuleGraph",
    "Policy",
    "TaskPolicy",
    "Trained",
    "export_tasks",
    "load_policy",
]
