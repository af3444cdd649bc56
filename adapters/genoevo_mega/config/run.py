"""The typed configuration of a run.

Every number that the paper's summaries give is marked [P], every reconstruction [R], every choice
of this project [O]. The rules of the genetic algorithm are the engine's own settings, see
:mod:`genoevo.community` and :class:`genoevo.operators.Reproduction`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from genoevo.community import Candidates, Decoding, Frontier, Growth, Mating, Selection
from genoevo.operators import Reproduction
from genoevo_mega.config.code import is_code
from genoevo_mega.config.critic import Critic, Normalise, Value
from genoevo_mega.config.evolution import EvolutionSettings, Genotypes
from genoevo_mega.config.networks import ARCHITECTURES, D2r, Mlp, Moore, Network, Paco, SoftModules
from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.sac import Sac
from genoevo_mega.config.training import Checkpoints, Compute, Environment, Evaluation, Faults, Schedule
from genoevo_runs import yaml_text
from genoevo_runs.errors import ConfigError, abbreviated, nearest
from genoevo_runs.settings import Count, Settings, explain, flat, merge

_MOST_PARAMETERS = 10**10


def _allowed(text: str) -> Any:
    """Return a field whose allowed values are described by *text* in the reference of settings."""
    return Field(json_schema_extra={"allowed": text})


class Config(Settings):
    """All settings of a run; the settings of its parts are in groups."""

    suite: Annotated[
        str, _allowed("mt10, mt25, mt50, names of tasks, gymnasium:ID,ID or package.module:callable")
    ] = "mt10"
    """Tasks to train: Meta-World's ``mt10``, ``mt25`` or ``mt50``, or names of tasks separated by
    commas. ``synthetic`` and its tasks need no simulator (:mod:`genoevo_mega.envs.synthetic`);
    ``gymnasium:`` names gymnasium's environments. ``package.module:callable`` is imported
    (:mod:`genoevo_mega.envs.custom`) [O]."""
    architecture: Annotated[str, _allowed(f"{', '.join(ARCHITECTURES)} or package.module:callable")] = "mega"
    """Network of the actor, and of the critics unless ``critic.kind`` gives them their own
    (:mod:`genoevo_mega.networks`). Only ``mega`` evolves its
    structure. ``package.module:callable`` is imported [O]."""
    match_parameters: Annotated[str | int | None, _allowed("mega, mega:STAGE or 1 to 10,000,000,000")] = None
    """Size of the actor and of each critic, met within 2 % by the choice of the network's widths.
    ``mega`` is MEGA's size with the modules of its start stage, ``mega:5`` with a pool of 5 modules,
    a number is the number of parameters; null for the widths as configured. Critics of another
    ``critic.kind`` than ``genotype`` are equal for every architecture and are not sized [O]."""
    layer_norm: bool = False
    """Whether the networks have LayerNorm, without parameters, before every ReLU. ``mega`` has it before
    the head, too (``genoevo_mega.networks.modular_layers``). ``package.module:callable`` decides for
    itself, and residual critics always have LayerNorm [O]."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Seed of every random generator of the run [O]."""
    steps: Count = 20_000_000
    """Environment steps of all tasks together [O]."""
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    """Services that receive the numbers of metrics.jsonl beside that file [O]."""
    environment: Environment = Environment()
    network: Network = Network()
    mlp: Mlp = Mlp()
    soft_modules: SoftModules = SoftModules()
    paco: Paco = Paco()
    moore: Moore = Moore()
    d2r: D2r = D2r()
    critic: Critic = Critic()
    value: Value = Value()
    normalise: Normalise = Normalise()
    genotypes: Genotypes = Genotypes()
    decoding: Decoding = Decoding()
    reproduction: Reproduction = Reproduction(crossover_threshold=0.6, mutation_threshold=0.9)
    """In MEGA a child keeps its length: ``cut_and_splice``, a ``resize_rate`` above 0, and with them
    other ``lengths`` than the default, are refused."""
    mating: Mating = Mating()
    growth: Growth = Growth()
    selection: Selection = Selection()
    candidates: Candidates = Candidates()
    frontier: Frontier = Frontier()
    sac: Sac = Sac()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()
    schedule: Schedule = Schedule()
    checkpoints: Checkpoints = Checkpoints()
    faults: Faults = Faults()

    @property
    def evolution(self) -> EvolutionSettings:
        """The settings that evolution reads."""
        return EvolutionSettings(
            self.genotypes,
            self.decoding,
            self.reproduction,
            self.mating,
            self.growth,
            self.selection,
            self.candidates,
            self.frontier,
        )

    @property
    def code(self) -> dict[str, str]:
        """The settings that may name code to import (:mod:`genoevo_runs.user_code`), by name."""
        return {"suite": self.suite, "architecture": self.architecture}

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.architecture not in ARCHITECTURES and not is_code(self.architecture):
            raise ValueError(
                f"architecture = {abbreviated(self.architecture)}: must be {', '.join(ARCHITECTURES)} or "
                f"package.module:callable{nearest(self.architecture, list(ARCHITECTURES))}"
            )
        if twice := [name for name in self.loggers if self.loggers.count(name) > 1]:
            raise ValueError(f"loggers = {twice[0]!r} twice: each may be named once")
        size = self.match_parameters
        if not (
            size is None or re.fullmatch(r"mega(:[1-9]\d*)?" if isinstance(size, str) else r"[1-9]\d*", str(size))
        ):
            raise ValueError(f"match_parameters = {size!r}: must be mega, mega:STAGE or a number of parameters")
        if str(size).isdigit() and int(str(size)) > _MOST_PARAMETERS:
            raise ValueError(f"match_parameters = {abbreviated(size)}: must be at most {_MOST_PARAMETERS:,}")
        if self.genotypes.start_stage > self.growth.max_modules:
            raise ValueError(
                f"genotypes.start_stage = {self.genotypes.start_stage}: "
                f"must be at most growth.max_modules, which is {self.growth.max_modules}"
            )
        if self.genotypes.hybrid_rate is not None:
            self._check_hybrid()
        if self.sac.precision == "tf32" and self.compute.device != "cuda":
            raise ValueError("sac.precision = 'tf32': needs compute.device = 'cuda'; a CPU has fp32 and bf16")
        if self.sac.log_std_min >= self.sac.log_std_max:
            raise ValueError(
                f"sac.log_std_min = {self.sac.log_std_min}: must be below sac.log_std_max, "
                f"which is {self.sac.log_std_max}"
            )
        if self.sac.simultaneous and self.sac.mask_loss_above is not None:
            raise ValueError(
                f"sac.mask_loss_above = {self.sac.mask_loss_above:g}: must be null with sac.simultaneous = true, "
                "because the actor would have to wait for the critics' losses"
            )
        if self.normalise.rewards and self.sac.gamma == 1:
            raise ValueError("normalise.rewards = true: needs sac.gamma below 1, so that returns are finite")
        if self.schedule.action_lag and self.schedule.double_buffering:
            raise ValueError(
                f"schedule.action_lag = {self.schedule.action_lag}: must be 0 with schedule.double_buffering = true"
            )
        self._check_selection()
        if self.reproduction.changes_lengths:
            raise ValueError(
                "reproduction: children must keep their length, which is that of their task's stage; "
                "crossover = 'cut_and_splice' and resize_rate above 0 change it"
            )
        return self

    def _check_selection(self) -> None:
        """Refuse settings of evolution that nothing would read."""
        by_record = self.selection.rule == "record"
        genotypes = self.genotypes
        if by_record and genotypes.rollback is not None:
            raise ValueError(
                f"genotypes.rollback = {genotypes.rollback}: must be null for selection.rule = 'record', whose "
                "elites stay until another is better"
            )
        if by_record and genotypes.hybrid_rate is not None:
            raise ValueError(
                f"genotypes.hybrid_rate = {genotypes.hybrid_rate}: must be null for selection.rule = 'record', whose "
                "records are of genotypes that do not change"
            )
        needs = {
            "genotypes.start": genotypes.start != "random",
            "candidates.children": self.candidates.children > 0,
            "frontier.size": self.frontier.size > 0,
            "growth.unused_patience": self.growth.unused_patience is not None,
        }
        if not by_record and any(needs.values()):
            name = next(name for name, given in needs.items() if given)
            raise ValueError(f"{name}: needs selection.rule = 'record', got {self.selection.rule!r}")
        if self.frontier.size and not genotypes.evolve:
            raise ValueError(f"frontier.size = {self.frontier.size}: needs genotypes.evolve = true, got false")
        if self.frontier.size and self.decoding.kind == "dense":
            raise ValueError(
                f"frontier.size = {self.frontier.size}: needs decoding.kind = 'sparse' or 'gates'; with 'dense' "
                "every genotype of a stage has the same price"
            )

    def _check_hybrid(self) -> None:
        rate = f"genotypes.hybrid_rate = {self.genotypes.hybrid_rate}: must be null"
        if self.architecture != "mega":
            raise ValueError(f"{rate} for architecture = {self.architecture!r}, which has no genotypes")
        if self.genotypes.update_with == "stored":
            raise ValueError(
                f"{rate} for genotypes.update_with = 'stored': most genotypes of stored transitions no longer exist; "
                "sample and elite can be trained"
            )
        if self.decoding.kind != "dense":
            raise ValueError(
                f"{rate} for decoding.kind = {self.decoding.kind!r}: a weight of exactly 0 has no gradient; "
                "dense can be trained"
            )


def build_config(*layers: dict[str, Any]) -> Config:
    """Return the config of nested dicts of settings; later layers override earlier ones.

    ConfigError names the setting, its value and what is allowed.
    """
    try:
        return Config.model_validate(merge(*layers))
    except ValidationError as error:
        raise ConfigError(explain(error, Config, setting_names())) from None
    except (OverflowError, RecursionError) as error:
        raise ConfigError(f"settings: {error}") from None


def preset(name: str) -> dict[str, Any]:
    """Return the settings that a preset changes; ConfigError for an unknown name."""
    if name not in PRESETS:
        known = list(PRESETS)
        raise ConfigError(f"preset = {name!r}: must be one of {', '.join(known)}{nearest(name, known)}")
    return PRESETS[name]


def dump_config(config: Config) -> str:
    """Return the resolved config as YAML that :func:`~genoevo_runs.settings.read_config` takes."""
    return yaml_text.dump(config.model_dump(mode="json"))


def setting_names() -> list[str]:
    """Return the dotted name of every setting."""
    return list(flat(Config().model_dump()))
