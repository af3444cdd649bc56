"""The one typed configuration of a run.

Every number that the paper's summaries give is marked [P], every reconstruction [R], every choice of ours [O]. The
rules of the genetic algorithm are the engine's own settings, see :mod:`genoevo.community` and
:class:`genoevo.operators.Reproduction`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genoevo.community import Decoding, Growth, Mating
from genoevo.operators import Reproduction
from genoevo_mega.errors import ConfigError, abbreviated, nearest
from genoevo_mega.outside import is_code
from genoevo_mega.presets import PRESETS

_MOST_PARAMETERS = 10**10

Count = Annotated[int, Field(ge=1)]
_LARGEST = 10_000  # values of a config file; there are some 70 settings
_DEEPEST = 4  # names in a row

Fraction = Annotated[float, Field(ge=0, le=1)]
Layers = Annotated[tuple[Count, ...], Field(min_length=1)]
ARCHITECTURES = ("mega", "mtsac", "mtmhsac", "soft-modules", "paco", "moore", "d2r")
"""Names of :data:`genoevo_mega.networks.ARCHITECTURES`; there may be the name of a callable in their place."""


class Settings(BaseModel):
    """A group of settings: unknown names and non-finite numbers are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Environment(Settings):
    """The simulated episodes."""

    episode_length: Count = 200
    """Steps per episode [P]; of Meta-World's at most 500, where it truncates whatever is asked."""
    reward_version: Literal["v1", "v2"] = "v2"
    """Meta-World's reward functions; those of v1 differ by orders of magnitude between tasks."""
    goals: Count = 50
    """Goals per task for training; 50 is Meta-World's own number. Evaluation has others, a new one each episode."""
    change_at: Count | None = None
    """Environment steps of all tasks together after which tasks named ``-change`` change; their suites need it."""


class Network(Settings):
    """The modular agent's sizes."""

    scaled: ClassVar = ("width", "hidden")
    """The settings that give way when a network is sized to a number of parameters; so in the groups below."""
    repeated: ClassVar = ("embedding_layers",)
    """The settings that say how often a part is there; so in the groups below."""

    width: Count = 400
    """Width of the embedding and of every module's input and output [P]."""
    embedding_layers: Count = 2
    """Layers of the embedding [P]."""
    hidden: Count = 128
    """Width inside a module [P]; that it is one hidden layer [R]."""


class Mlp(Settings):
    """Sizes of ``mtsac`` and ``mtmhsac``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ()
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""


class SoftModules(Settings):
    """Sizes of ``soft-modules``; the paper's shallow network."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("layers", "modules")
    width: Count = 400
    """Of the embeddings of observation and task."""
    module_width: Count = 256
    gating_width: Count = 256
    """Of the routing network."""
    layers: Annotated[int, Field(ge=2)] = 2
    """Layers of modules."""
    modules: Count = 2
    """Modules in each layer."""


class Paco(Settings):
    """Sizes of ``paco``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("sets",)
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""
    sets: Count = 5
    """Shared sets of weights."""


class Moore(Settings):
    """Sizes of ``moore``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("experts",)
    layers: Layers = (400, 400, 400)
    """Widths of an expert's layers; the last is that of the features."""
    experts: Count = 4
    """Experts: 4 (MT10), 6 (MT50)."""


class D2r(Settings):
    """Sizes of ``d2r``."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("modules",)
    width: Count = 400
    """Of the embeddings of observation and task."""
    module_width: Count = 128
    gating_width: Count = 256
    """Of the routing network."""
    modules: Annotated[int, Field(ge=2)] = 16
    sources: Count = 2
    """Earlier modules that a module reads at most."""


class Genotypes(Settings):
    """The task populations."""

    precision: Annotated[int, Field(ge=1, le=16)] = 2
    """Bits per weight: 2 (MT10), 4 (MT50) [P]."""
    population_size: Annotated[int, Field(ge=2)] = 3
    """Genotypes per task: 3 (MT10), 4 (MT50) [P]."""
    start_stage: Count = 3
    """Modules of every task at the start [P]."""
    episodes: Count = 1
    """Training episodes that each genotype drives before a round [O]."""
    evolve: bool = True
    """Whether rounds breed; without, the random genotypes of the start stay, and stages change all the same."""
    module_budget: Count | None = None
    """Modules that one step of all tasks may compute, the sum of their stages: no task grows past it [O]."""
    rollback: Fraction | None = None
    """A task whose success falls by more than this against the generation that the present one replaced gets that
    one back, and its stage; null for never [O]."""
    update_with: Literal["sample", "elite", "stored"] = "sample"
    """Whose weights a gradient step uses for a task: one genotype drawn from its population, its elite, or the
    one that produced the transition [O]."""
    hybrid_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate, in units of a code, of gradient steps on the decoded weights beside evolution, for the genotypes
    that gradient steps use; null for none (:mod:`genoevo_mega.relaxed`) [O]."""


class Sac(Settings):
    """The learner; values are those that MEGA's closest relatives publish [O]."""

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of the networks' arithmetic: tf32 is a GPU's; bf16 is faster on a GPU and on a CPU with AMX or AVX512-BF16,
    slower on others. Weights and losses stay fp32; results are compared in fp32."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    batch_size: Count = 128
    """Transitions per task and update."""
    buffer_size: Count = 1_000_000
    """Transitions of all tasks together."""
    gamma: Fraction = 0.99
    reward_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on rewards for the learner alone; reported returns are not scaled [O]."""
    n_step: Count = 1
    """Steps of reward before the bootstrapped value: more carry a reward back faster, at the price of off-policy
    bias [O]."""
    tau: Fraction = 0.005
    """Share of the critics that moves into their targets at each update."""
    average: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the actor that moves at each update into the averaged one that greedy episodes use; 1 is the actor
    itself [O]."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest gradient norm of the actor and of the critics."""
    mask_loss_above: Annotated[float, Field(gt=0)] | None = None
    """A task whose critic or actor loss exceeds this, or is no number, is left out of that update; null for none
    (:mod:`genoevo_mega.sac`) [O]. Where the networks' own numbers overflow, the whole update is skipped."""
    max_skipped: Count = 10
    """Updates whose gradient is not finite and that therefore make no step: so many in one round stop the run."""
    updates_per_step: Annotated[float, Field(ge=0)] = 1.0
    """Updates per vector step, a step of all tasks together; below 1, one in several steps."""
    random_steps: Annotated[int, Field(ge=0)] = 400
    """Steps of each task with uniform random actions before learning starts."""
    random_hold: Count = 1
    """Steps that each random action is held: held actions reach further (Dabney et al. 2021) [O]."""
    initial_temperature: Annotated[float, Field(gt=0)] = 1.0
    conflict_every: Annotated[int, Field(ge=0)] = 0
    """Updates between measurements of the cosine between tasks' gradients, each a backward pass for every task; 0
    for none."""


class Evaluation(Settings):
    """Greedy episodes on goals that training never sees."""

    episodes: Count = 20
    """Episodes per task."""
    every: Annotated[int, Field(ge=0)] = 0
    """Environment steps between evaluations during training; 0 for none."""
    at_end: bool = True


class Machine(Settings):
    """What the run may use. Results depend on device and threads in their last bits, so both are part of the run."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks and, if it fits, replay lie."""

    workers: Count = 1
    """Rollout processes."""
    worker_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that a rollout process may take for one answer; then it is replaced, and its episodes begin anew."""
    fault_limit: Count = 10
    """Faults of one task (its process died or hung, its simulator failed) that end the run."""
    threads: Count = 1
    """Threads of the learner."""
    lag: Annotated[int, Field(ge=0, le=16)] = 1
    """Vector steps that an update's data are behind: 0 makes updates after each step, 1 or more while the next one is
    simulated, whose actions do not know of them yet. As reproducible as strict alternation."""
    halves: bool = False
    """Whether one half of the tasks steps while actions of the other are computed; worth it where acting takes longer
    than a message to the workers and cores are left for it."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Time budget: training that takes longer ends as if it had reached its steps, and can be resumed."""
    checkpoint_every: Annotated[int, Field(ge=0)] = 500_000
    """Environment steps between checkpoints; 0 for one at the end alone."""
    keep_checkpoints: Count = 2
    """The newest ones that are kept, beside that of the best policy."""


class Config(Settings):
    """All settings of a run."""

    suite: str = "mt10"
    """mt10, mt25, mt50, or Meta-World tasks separated by commas; synthetic and its kin
    (:mod:`genoevo_mega.synthetic`); gymnasium:ID,ID; or package.module:callable, which is imported
    (:mod:`genoevo_mega.suites`)."""
    architecture: str = "mega"
    """The network of actor and critics, one of ARCHITECTURES, or package.module:callable, which is imported; all but
    ``mega`` keep their structure, see :mod:`genoevo_mega.networks`."""
    match_parameters: str | int | None = None
    """Size of actor and of each critic, met within 2 % by choice of the network's widths: ``mega``, MEGA's with the
    modules of its start stage, ``mega:5``, with a pool of 5, or a number of parameters."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    steps: Count = 20_000_000
    """Environment steps of all tasks together."""
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    """Where the numbers of metrics.jsonl go beside that file."""
    environment: Environment = Environment()
    network: Network = Network()
    mlp: Mlp = Mlp()
    soft_modules: SoftModules = SoftModules()
    paco: Paco = Paco()
    moore: Moore = Moore()
    d2r: D2r = D2r()
    genotypes: Genotypes = Genotypes()
    decoding: Decoding = Decoding()
    reproduction: Reproduction = Reproduction(crossover_threshold=0.6, mutation_threshold=0.9)
    mating: Mating = Mating()
    growth: Growth = Growth()
    sac: Sac = Sac()
    evaluation: Evaluation = Evaluation()
    machine: Machine = Machine()

    @property
    def code(self) -> dict[str, str]:
        """The settings that may name code to import, see :mod:`genoevo_mega.outside`."""
        return {"suite": self.suite, "architecture": self.architecture}

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.architecture not in ARCHITECTURES and not is_code(self.architecture):
            raise ValueError(
                f"architecture = {abbreviated(self.architecture)}: must be {', '.join(ARCHITECTURES)} or "
                f"package.module:callable{nearest(self.architecture, list(ARCHITECTURES))}"
            )
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
        if self.sac.precision == "tf32" and self.machine.device != "cuda":
            raise ValueError("sac.precision = 'tf32': needs machine.device = 'cuda'; a CPU has fp32 and bf16")
        if self.reproduction.changes_lengths:
            raise ValueError(
                "reproduction: children must keep their length, which is that of their task's stage; "
                "crossover = 'cut_and_splice' and resize_rate above 0 change it"
            )
        return self

    def _check_hybrid(self) -> None:
        rate = f"genotypes.hybrid_rate = {self.genotypes.hybrid_rate}: must be null"
        if self.architecture != "mega":
            raise ValueError(f"{rate} for architecture = {self.architecture!r}, which has no genotypes")
        if self.genotypes.update_with == "stored":
            raise ValueError(
                f"{rate} for genotypes.update_with = 'stored': most genotypes of stored transitions are no more; "
                "sample and elite can be trained"
            )


def build_config(*layers: dict[str, Any]) -> Config:
    """Validate nested dicts of settings, later ones over earlier ones.

    Raises :class:`ConfigError` that names the setting, its value and what is allowed.
    """
    try:
        return Config.model_validate(merge(*layers))
    except ValidationError as error:
        raise ConfigError(explain(error, setting_names())) from None
    except (OverflowError, RecursionError) as error:
        raise ConfigError(f"settings: {error}") from None


def preset(name: str) -> dict[str, Any]:
    """The settings that a preset changes; ConfigError for an unknown name."""
    if name not in PRESETS:
        known = list(PRESETS)
        raise ConfigError(f"preset = {name!r}: must be one of {', '.join(known)}{nearest(name, known)}")
    return PRESETS[name]


def read_config(path: Path) -> dict[str, Any]:
    """A YAML file of settings as nested dicts; ConfigError where it cannot be read."""
    try:
        content = _load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} cannot be read: {error}") from None
    except ValueError as error:
        raise ConfigError(f"config file {path} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"config file {path} must hold settings by name, got {type(content).__name__}")
    return content


def parse_setting(text: str) -> dict[str, Any]:
    """``sac.batch_size=64`` as a nested dict; the value is read as YAML. ConfigError for any other form."""
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts) or len(parts) > _DEEPEST:
        raise ConfigError(f"--set {text!r}: must have the form name=value, for example sac.batch_size=64")
    try:
        parsed: Any = _load_yaml(value)
    except ValueError:
        raise ConfigError(f"--set {text!r}: the value {value!r} is no YAML") from None
    # YAML 1.1 reads 3e-4 as text; every setting that is text is a word, so a number is meant.
    if isinstance(parsed, str):
        with suppress(ValueError):
            parsed = float(parsed)
    return nested({name.strip(): parsed})


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by dotted names as nested dicts: ``{"sac.tau": 0.01}`` is ``{"sac": {"tau": 0.01}}``."""
    layers = []
    for name, value in settings.items():
        layer: Any = nested(value) if isinstance(value, dict) else value
        for part in reversed(str(name).split(".")):
            layer = {part: layer}
        layers.append(layer)
    return merge(*layers)


def _load_yaml(text: str) -> Any:
    """One document, by the safe loader; ValueError where it is none.

    Aliases may name a part again, but not so often that a short text stands for a long one.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        document = loader.get_single_node()
        left, count = [document] if document else [], 0
        while left:
            node, count = left.pop(), count + 1
            if count > _LARGEST:
                raise ValueError(f"it unfolds to more than {_LARGEST:,} values")
            if isinstance(node, yaml.MappingNode):
                left += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                left += node.value
        return loader.construct_document(document) if document else None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, AttributeError, TypeError) as error:
        # Apart from YAMLError, what Python makes of dates and numbers that are none, and of endless nesting.
        raise ValueError(" ".join(str(error).split())) from None
    finally:
        if loader is not None:
            loader.dispose()


def dump_config(config: Config) -> str:
    """The resolved config as YAML that :func:`read_config` takes."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts of settings as one, later ones over earlier ones; the layers are left as they are."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    return merged


def _merge(target: dict[str, Any], layer: dict[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, dict) else value


def explain(error: ValidationError, known: list[str]) -> str:
    """One line on the first error: the setting, its value and what is allowed; *known* are the names there are."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        shown = name if name.isprintable() and len(name) <= 80 else abbreviated(name)
        return f"{shown}: there is no such setting{nearest(name, known)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":  # ours: it names the setting and its value already
        return f"{name}.{message}" if name else message
    hint = ""
    if first["type"] == "literal_error":
        hint = nearest(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{name} = {abbreviated(first['input'])}: {message[0].lower()}{message[1:]}{hint}"


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        dotted = f"{prefix}{name}"
        values |= flat(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value}
    return values


def setting_names() -> list[str]:
    """Every setting's dotted name."""
    return list(flat(Config().model_dump()))
