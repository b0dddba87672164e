"""How a PyTorch network is run on a batch: as it comes, or at a few recorded batch sizes. Between torch.py and torch_device.py.

A CUDA graph, like a compiled network, is made for one shape. So it is recorded at a few batch sizes before the model is
ready, and a batch is padded up to the next of them; what the model makes of the padding is thrown away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch

from scoring_runtime.errors import ManifestInvalidError
from scoring_runtime.scorers.torch_device import guard_loading, is_out_of_memory, send_to_device, stage_array
from scoring_runtime.tensors import Tensor, Tensors

# Before recording: lazy initialisation, the choice of algorithms and compilation must be over.
_WARM_UP_RUNS = 3

Outputs = Mapping[str, torch.Tensor]
Forward = Callable[..., Outputs]
"""A network from tensors on its device, in the order of its inputs, to its named outputs."""


@dataclass(frozen=True)
class Recording:
    """A network at one batch size: it reads `inputs`, which lie where they lie for good, whenever it is run."""

    inputs: tuple[torch.Tensor, ...]
    run: Callable[[], Outputs]


Recorder = Callable[[Forward, tuple[torch.Tensor, ...]], Recording]


class Runner(Protocol):
    """Runs a network on the arrays of a batch; returns its outputs as arrays."""

    def __call__(self, arrays: Sequence[Tensor]) -> Tensors:
        """Run the network on arrays in the order of its inputs, whose first axes count the items."""


class DirectRunner:
    """Runs the network at the size of each batch."""

    def __init__(self, forward: Forward, device: torch.device) -> None:
        self._forward = forward
        self._device = device

    def __call__(self, arrays: Sequence[Tensor]) -> Tensors:
        """Run the network on the batch as it is."""
        outputs = self._forward(*(send_to_device(array, self._device) for array in arrays))
        return {name: tensor.cpu().numpy() for name, tensor in outputs.items()}


class RecordedRunner:
    """Runs what was recorded at `sizes`, all of them for the shapes of the first batch; batches of other shapes directly."""

    def __init__(self, forward: Forward, device: torch.device, sizes: Sequence[int], record: Recorder) -> None:
        self._forward = forward
        self._device = device
        self._sizes = sorted(set(sizes))
        self._record = record
        self._direct = DirectRunner(forward, device)
        self._shapes: list[tuple[object, ...]] = []
        self._recordings: dict[int, Recording] = {}

    def __call__(self, arrays: Sequence[Tensor]) -> Tensors:
        """Run the network on the batch in pieces of recorded sizes."""
        shapes = [(array.dtype, *array.shape[1:]) for array in arrays]
        if not self._recordings:
            self._shapes = shapes
            self._record_all(arrays)
        if shapes != self._shapes or not len(arrays[0]):
            return self._direct(arrays)
        pieces = [self._replay(piece, arrays) for piece in plan_pieces(len(arrays[0]), self._sizes)]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _record_all(self, arrays: Sequence[Tensor]) -> None:
        # The largest first: the smaller ones find room in its memory.
        for size in reversed(self._sizes):
            inputs = tuple(send_to_device(np.resize(array, (size, *array.shape[1:])), self._device) for array in arrays)
            with guard_loading(self._device):
                self._recordings[size] = self._record(self._forward, inputs)

    def _replay(self, piece: "Piece", arrays: Sequence[Tensor]) -> Tensors:
        recording = self._recordings[piece.size]
        items = piece.stop - piece.start
        for recorded, array in zip(recording.inputs, arrays, strict=True):
            recorded[:items].copy_(stage_array(array[piece.start : piece.stop], self._device), non_blocking=True)
        # Off the device at once: the next run writes to the same place.
        return {name: tensor[:items].cpu().numpy() for name, tensor in recording.run().items()}


class Piece(NamedTuple):
    """The items `start` to `stop` (exclusive) of a batch, which are run at the recorded batch size `size`."""

    start: int
    stop: int
    size: int


def plan_pieces(items: int, sizes: Sequence[int]) -> list[Piece]:
    """Cut a batch into pieces of the largest size; the rest runs at the smallest size that holds it. `sizes` ascend."""
    largest = sizes[-1]
    edges = [*range(0, items, largest), items]
    return [Piece(start, stop, next(size for size in sizes if size >= stop - start)) for start, stop in pairwise(edges)]


def record_call(forward: Forward, inputs: tuple[torch.Tensor, ...]) -> Recording:
    """Return a recording that just calls the network, which has been called before."""
    forward(*inputs)
    return Recording(inputs, lambda: forward(*inputs))


class CudaGraphRecorder:
    """Records CUDA graphs, which share the memory of what is neither input nor output: only one of them runs at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, forward: Forward, inputs: tuple[torch.Tensor, ...]) -> Recording:
        """Return a recording that replays the network's kernels with one call. Raises ManifestInvalidError."""
        self._warm_up(forward, inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                outputs = forward(*inputs)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise ManifestInvalidError(
                "manifest.json: options.compile: the network cannot be recorded as a CUDA graph "
                f"({str(error).partition(chr(10))[0]}): set it to none."
            ) from error
        return Recording(inputs, lambda: _replay_graph(graph, outputs))

    def _warm_up(self, forward: Forward, inputs: tuple[torch.Tensor, ...]) -> None:
        # On a stream of its own, as PyTorch asks: on the default stream, work that a graph cannot hold would slip in.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_RUNS):
                forward(*inputs)
        torch.cuda.current_stream().wait_stream(stream)


def _replay_graph(graph: torch.cuda.CUDAGraph, outputs: Outputs) -> Outputs:
    graph.replay()
    return outputs
