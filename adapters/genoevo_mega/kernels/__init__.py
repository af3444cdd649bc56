"""C functions for the parts of an update that torch would compute in many small operations.

Between two matrix products, which are those of torch's own library, everything is one loop over rows in the
processor's cache. torch makes ten to twenty operations there, each with a cost of its own: views, copies, and nodes
of autograd's graph.

A C compiler is needed once. Its result is kept in the user's cache, named by the source, the compiler and the kind of
the processor. Numbers agree with those of the definitions in torch within rounding. The functions release Python's
lock, so that threads can share an update.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_FOLDER = Path(__file__).parent
# Sums may be made in another order, so that they use all lanes; what is not a number stays one.
_FLAGS = (
    *("-std=c11", "-O3", "-march=native", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math"),
    *("-fassociative-math", "-fno-signed-zeros", "-freciprocal-math", "-ffp-contract=fast"),
)
ADDRESS, SIZE, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float

FUNCTIONS: dict[str, tuple[list[Any], Any]] = {
    "use_blas": ([ADDRESS], None),
    "residual_memory": ([ADDRESS], SIZE),
    "residual_scratch": ([ADDRESS], SIZE),
    "residual_forward": ([ADDRESS] * 5, None),
    "residual_backward": ([ADDRESS] * 8, None),
    "modular_routes": ([ADDRESS] * 3, SIZE),
    "modular_memory": ([ADDRESS, SIZE], SIZE),
    "modular_scratch": ([ADDRESS], SIZE),
    "modular_forward": ([ADDRESS] * 3 + [SIZE] + [ADDRESS] * 6, None),
    "modular_backward": ([ADDRESS] * 3 + [SIZE] + [ADDRESS] * 9, None),
    "adam": ([SIZE, ADDRESS] + [ctypes.c_double] * 6, ctypes.c_double),
    "polyak": ([SIZE, ADDRESS, NUMBER], None),
    "squashed": ([SIZE] * 2 + [ADDRESS] * 2 + [NUMBER] * 2 + [ADDRESS] * 2, None),
    "through_squashed": ([SIZE] * 2 + [ADDRESS] * 2 + [NUMBER] * 2 + [ADDRESS] * 4, None),
    "categorical": ([SIZE] * 2 + [ADDRESS] * 5, None),
    "through_value": ([SIZE] * 2 + [ADDRESS] * 5, None),
    "cross_entropy": ([SIZE] * 3 + [ADDRESS] * 4, None),
    "through_cross_entropy": ([SIZE] * 3 + [ADDRESS] * 4, None),
    "residual_step_memory": ([ADDRESS], SIZE),
    "residual_step": ([ADDRESS] * 10, None),
    "modular_step_memory": ([ADDRESS, SIZE], SIZE),
    "modular_step": ([ADDRESS] * 3 + [SIZE] + [ADDRESS] * 12, None),
}
"""What each function takes and returns."""


class KernelsUnavailableError(Exception):
    """There is no C compiler, it fails, its library cannot be loaded, or torch has no matrix product to call."""


@functools.cache
def kernels() -> Any:
    """Return the library of compiled functions; KernelsUnavailableError says why there is none."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise KernelsUnavailableError("there is no C compiler: neither $CC nor cc, gcc or clang")
    reason = None
    for folder in (_cache, _temporary):
        try:
            return _declared(_compiled(compiler, folder()))
        # A folder that cannot be found, written or executed from.
        except (OSError, RuntimeError) as error:
            reason = error
    raise KernelsUnavailableError(f"no folder can hold the compiled library: {reason}")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (arguments, result) in FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    library.use_blas(_matrix_product())
    return library


def _matrix_product() -> int | None:
    for place in sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")):
        try:
            return ctypes.cast(ctypes.CDLL(str(place)).sgemm_, ADDRESS).value
        except (OSError, AttributeError):
            continue
    raise KernelsUnavailableError("torch's library has no function sgemm_")


def _compiled(compiler: str, folder: Path) -> ctypes.CDLL:
    """Return the library in *folder*, compiled unless it is there and can be loaded; OSError if it cannot be kept."""
    sources = [source.read_text() for source in sorted(_FOLDER.glob("*.[ch]"))]
    facts = [*sources, *_FLAGS, _run(compiler, "--version"), _processor()]
    place = folder / f"kernels-{hashlib.sha256(repr(facts).encode()).hexdigest()[:20]}.so"
    with suppress(OSError):
        return ctypes.CDLL(str(place))
    with tempfile.TemporaryDirectory() as making:
        made = Path(making) / place.name
        _run(compiler, *_FLAGS, "-o", str(made), str(_FOLDER / "kernels.c"), "-lm")
        beside = place.with_suffix(f".{os.getpid()}")
        shutil.copyfile(made, beside)
        beside.replace(place)  # whole or not at all: other processes may want it, too
    return ctypes.CDLL(str(place))


def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="genoevo-"))


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genoevo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelsUnavailableError(f"{' '.join(command[:1])} fails: {done.stderr.strip()[:300]}")
    return done.stdout


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def usable(*tensors: Tensor) -> bool:
    """Return whether compiled functions can compute with *tensors*: on a CPU, in fp32, and not traced or compiled."""
    followed = torch.jit.is_tracing() or torch.compiler.is_compiling()
    return not followed and all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def address(tensor: Tensor | None) -> int | None:
    """Return where a tensor's numbers are; None for no tensor."""
    return None if tensor is None else tensor.data_ptr()


def addresses(tensors: Sequence[Tensor]) -> Any:
    """Return an array of :func:`address`."""
    return (ADDRESS * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
