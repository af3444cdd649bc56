"""The manifest of a checkpoint: names, sizes and checksums of its files and of its replay's.

::

    checkpoints/000000500000/manifest.json, and the files that its format names
    replay/000001.safetensors, ...

A checkpoint's own files lie beside its manifest. Finished rows of the replay lie in segments. A segment is written
once, and later checkpoints refer to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genoevo_runs import files
from genoevo_runs.errors import CorruptFileError, UserError, abbreviated
from genoevo_runs.run_kind import Tell

CHECKPOINTS, REPLAY, MANIFEST = "checkpoints", "replay", "manifest.json"
LEFT_OUT = "replay-left-out"
"""An empty file beside the manifest of a checkpoint that was archived without its replay."""
LATEST, BEST = "latest", "best"
Which = str | int
"""The checkpoint that is asked for: :data:`LATEST`, :data:`BEST` or a step."""

_CHECKPOINT = re.compile(r"(\d{12})(?:-(\d+))?")

Count = Annotated[int, Field(ge=0, lt=2**63)]
Counts = Annotated[list[Count], Field(min_length=1, max_length=1_000_000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Format:
    """The format of the checkpoints of one kind of run.

    ``name`` and ``version`` are written into each file of a checkpoint, ``rows`` and ``rows_version`` into each
    segment of the replay. ``files`` are the names of a checkpoint's files.
    """

    name: str
    version: int
    files: tuple[str, ...]
    rows: str
    rows_version: int


class Record(BaseModel):
    """A part of a JSON file; unknown, missing and mistyped fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class File(Record):
    """A file of a checkpoint; *name* has no directory."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}\.(safetensors|npz|json)$")]
    size: Count
    sha256: Sha256


class Segment(Record):
    """A file with the rows *first* to *last* (excluded) of the replay of every task."""

    name: Annotated[str, Field(pattern=r"^\d{6,12}\.safetensors$")]
    size: Count
    sha256: Sha256
    first: Counts
    last: Counts

    @property
    def bounds(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """*first* and *last* as int64 arrays (tasks,)."""
        return np.array(self.first, np.int64), np.array(self.last, np.int64)


class Score(Record):
    """The mean success of a checkpoint's policy, in an evaluation or else in the last round of training.

    *step* is the step at which it was measured. In checkpoints of earlier versions an evaluation may be of an earlier
    step than the checkpoint, and so of another policy. An evaluation counts more than training.
    """

    evaluated: bool
    success: Annotated[float, Field(ge=0, le=1)]
    step: Count


class Manifest(Record):
    """The content of ``manifest.json``."""

    format: str
    version: int
    step: Count
    score: Score | None
    files: Annotated[list[File], Field(max_length=100)]
    replay: list[Segment]

    @property
    def own_score(self) -> Score | None:
        """The score, if it is that of this checkpoint's policy."""
        return None if self.score is None or (self.score.evaluated and self.score.step != self.step) else self.score


def write(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a checkpoint, with a checksum of its own."""
    content = manifest.model_dump()
    (path / MANIFEST).write_text(json.dumps({**content, "checksum": checksum(content)}), encoding="utf-8")


def read(path: Path, kind: Format) -> Manifest:
    """Return the manifest of a checkpoint; CorruptFileError if it is corrupt, VersionError if it is newer."""
    file = path / MANIFEST
    content = files.read_json(files.inside(path.parent, file), kind.name, kind.version)
    with files.reading(file):
        if content.pop("checksum", None) != checksum(content):
            raise ValueError("its checksum differs")
        manifest = parse(Manifest, content)
        if manifest.version != kind.version:
            raise ValueError(f"version = {manifest.version}: must be {kind.version}")
        for number, entry in enumerate(manifest.files):
            if entry.name not in kind.files:
                raise ValueError(f"files.{number}.name = {entry.name!r}: must be one of {', '.join(kind.files)}")
        if sorted(entry.name for entry in manifest.files) != sorted(kind.files):
            raise ValueError(f"files: must name {', '.join(kind.files)}, each once")
    return manifest


def parse(model: type[Any], content: Any) -> Any:
    """Return *content* as a *model*; ValueError names the wrong field, its value and what is allowed."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        value = "" if first["type"] == "missing" else f" = {abbreviated(first['input'])}"
        raise ValueError(f"{where}{value}: {first['msg']}") from None


def check(directory: Path, path: Path, manifest: Manifest, *, replay: bool = True) -> None:
    """Raise CorruptFileError for the first file whose size or SHA-256 differs from its manifest's."""
    for problem in problems(directory, path, manifest, replay=replay):
        raise problem


def problems(directory: Path, path: Path, manifest: Manifest, *, replay: bool = True) -> Iterable[CorruptFileError]:
    """Yield an error for every file that is missing or differs from its manifest."""
    entries: list[tuple[Path, File | Segment]] = [(path / entry.name, entry) for entry in manifest.files]
    if replay and not left_out(path):
        entries += [(directory / REPLAY / entry.name, entry) for entry in manifest.replay]
    # Sizes first: they cost nothing.
    wrong = [(file, entry, _wrong_size(directory, file, entry)) for file, entry in entries]
    yield from (problem for _, _, problem in wrong if problem)
    for file, entry, problem in wrong:
        if problem is None:
            try:
                with files.reading(file):
                    if files.sha256(file) != entry.sha256:
                        raise ValueError("its SHA-256 differs from the manifest's")
            except CorruptFileError as error:
                yield error


def left_out(path: Path) -> bool:
    """Whether the replay of the checkpoint *path* was left out of an archive."""
    return (path / LEFT_OUT).is_file()


def _wrong_size(directory: Path, file: Path, entry: File | Segment) -> CorruptFileError | None:
    try:
        with files.reading(files.inside(directory, file)):
            if not file.is_file():
                raise ValueError("the file is missing")
            if (size := file.stat().st_size) != entry.size:
                raise ValueError(f"it has {size} bytes, not {entry.size}")
    except CorruptFileError as error:
        return error
    return None


def checksum(content: dict[str, Any]) -> str:
    """Return the SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def newest_first(directory: Path) -> list[Path]:
    """Return the checkpoints of a run directory, without those that are being written or removed."""
    found = {}
    folder = directory / CHECKPOINTS
    with files.reading(folder):
        for path in files.inside(directory, folder).iterdir() if folder.is_dir() else ():
            if match := _CHECKPOINT.fullmatch(path.name):
                found[int(match[1]), int(match[2] or 1)] = files.inside(directory, path)
    return [found[key] for key in sorted(found, reverse=True)]


def newest_whole(
    paths: Iterable[Path], read: Callable[[Path], object], tell: Tell
) -> tuple[Path | None, dict[Path, CorruptFileError]]:
    """Return the first of *paths*, newest first, that *read* accepts, and the errors of those before it.

    *tell* is called with a line about each of these.
    """
    damaged: dict[Path, CorruptFileError] = {}
    for path in paths:
        try:
            read(path)
        except CorruptFileError as error:
            damaged[path] = error
            tell(f"{path.name} is passed over: {error}")
        else:
            return path, damaged
    return None, damaged


def name_after(directory: Path, step: int) -> str:
    """Return the name of a new checkpoint at *step*, later than any other of that step."""
    taken = [path.name for path in newest_first(directory) if path.name.startswith(f"{step:012d}")]
    if not taken:
        return f"{step:012d}"
    match = _CHECKPOINT.fullmatch(taken[0])
    assert match
    return f"{step:012d}-{int(match[2] or 1) + 1}"


def read_all(directory: Path, kind: Format) -> dict[Path, Manifest]:
    """Return the manifests of a run directory's checkpoints, newest first, without corrupt ones."""
    manifests = {}
    for path in newest_first(directory):
        with suppress(CorruptFileError):
            manifests[path] = read(path, kind)
    return manifests


def best(manifests: dict[Path, Manifest]) -> Path | None:
    """Return the checkpoint whose policy succeeded most when it was evaluated, the last of several.

    If none was evaluated, it is the last one whose round of training succeeded most. None if there is no score.
    """
    return next(iter(best_first(manifests)), None)


def best_first(manifests: dict[Path, Manifest]) -> list[Path]:
    """Return the checkpoints that have a score, by :func:`best`."""

    def merit(path: Path) -> tuple[bool, float, int]:
        score = manifests[path].own_score
        assert score is not None
        return score.evaluated, score.success, score.step

    return sorted([path for path, content in manifests.items() if content.own_score], key=merit, reverse=True)


def chosen(directory: Path, kind: Format, which: Which) -> list[Path]:
    """Return the checkpoints that *which* allows, the preferred one first; none if there are no checkpoints.

    ``latest`` allows all, newest first; ``best`` those with a score, see :func:`best`; a number those of that step,
    the last one first. UserError, which names the checkpoints that there are, if *which* allows none of them.
    """
    manifests = read_all(directory, kind)
    if which == LATEST or not manifests:
        return newest_first(directory)
    if which == BEST:
        found = best_first(manifests)
    else:
        found = [path for path, content in manifests.items() if content.step == which and type(which) is int]
    if not found:
        steps = ", ".join(map(str, sorted({content.step for content in manifests.values()})))
        raise UserError(f"checkpoint = {which!r}: must be {LATEST}, {BEST} or a step with a checkpoint: {steps}")
    return found
