"""The device that PyTorch computes on: what it is, how arrays get there, and what its errors mean. For torch.py."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import structlog
import torch

from scoring_runtime.errors import DeviceLostError, OutOfMemoryError, OverloadedError, ScoringRuntimeError
from scoring_runtime.tensors import Tensor

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# What CUDA, its libraries and the allocator of the CPU say when memory is short.
_OUT_OF_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
# What a CPU must be able to do for a precision to be faster than float32, as torch.cpu.get_capabilities names it.
_CAPABILITIES = {
    torch.bfloat16: ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16"),
    torch.float16: ("avx512_fp16", "amx_fp16", "avx10_2", "fp16_arith"),
}

_logger = structlog.stdlib.get_logger(__name__)


def choose_device() -> torch.device:
    """Return the GPU where there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """Return the device in words, such as `cuda: NVIDIA H100 80GB HBM3` or `cpu`."""
    return f"{device.type}: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def warn_of_slow_precision(device: torch.device, precision: torch.dtype) -> None:
    """Log a warning where this precision is only imitated: eight times slower than float32 on such a CPU."""
    if device.type == "cpu" and not is_native(precision, torch.cpu.get_capabilities()):
        _logger.warning(
            "this CPU only imitates the precision: set options.precision to float32, or use another hardware class",
            precision=str(precision).removeprefix("torch."),
        )


def is_native(precision: torch.dtype, capabilities: Mapping[str, object]) -> bool:
    """Tell whether a CPU of these capabilities computes with this precision itself."""
    wanted = _CAPABILITIES.get(precision)
    return wanted is None or any(capabilities.get(name) for name in wanted)


def stage_array(array: Tensor, device: torch.device) -> torch.Tensor:
    """Return the array as a tensor in memory from which `device` is reached fastest; on a CPU without copying if it can."""
    # A request's bytes are read-only, and PyTorch has no such tensors.
    tensor = torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy())
    # Only from pinned memory can a GPU read by itself. PyTorch keeps such memory for the next batch.
    return tensor.pin_memory() if device.type == "cuda" else tensor


def send_to_device(array: Tensor, device: torch.device) -> torch.Tensor:
    """Return the array as a tensor on the device; the copy to a GPU goes on while Python does."""
    return stage_array(array, device).to(device, non_blocking=True)


@contextmanager
def guard_loading(device: torch.device) -> Iterator[None]:
    """Within a `with` block that loads, raise OutOfMemoryError or DeviceLostError instead of PyTorch's own errors."""
    message = f"The model does not fit into the memory of {device}: use a larger one."
    with _guard(device, lambda: OutOfMemoryError(message)):
        yield


@contextmanager
def guard_scoring(device: torch.device, items: int) -> Iterator[None]:
    """Within a `with` block that scores, raise OverloadedError or DeviceLostError instead of PyTorch's own errors."""
    message = f"The memory of {device} does not suffice for {items} items now: send less at once, or try again later."
    with _guard(device, lambda: OverloadedError(message)):
        yield


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether PyTorch or a library below it found no memory."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(word in text for word in _OUT_OF_MEMORY_WORDS)


@contextmanager
def _guard(device: torch.device, explain_memory: Callable[[], ScoringRuntimeError]) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            _free_memory(error)
            raise explain_memory() from error
        raise_if_lost(error, lambda: _synchronise(device))
        raise


def raise_if_lost(error: RuntimeError, probe: Callable[[], None]) -> None:
    """Raise DeviceLostError when, after this error, the device fails at `probe` too.

    After a failed assertion or a wrong address in a kernel, CUDA answers every further call with the same error until the
    process ends; after any other error it goes on.
    """
    try:
        probe()
    except RuntimeError as repeated:
        first_line = str(repeated).partition("\n")[0]
        raise DeviceLostError(f"The GPU is lost to this process: {first_line}. It must be started anew.") from error


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _free_memory(error: RuntimeError) -> None:
    # The frames that the error came through hold the tensors of the batch.
    traceback.clear_frames(error.__traceback__)
    torch.cuda.empty_cache()
