"""A step on a GPU as one launch: its work recorded once in a CUDA graph, then replayed (ours).

A step of a small model is hundreds of short kernels, and launching them one by one takes the host
longer than the GPU needs to run them. A graph launches them all with one call, and the GPU waits
for no host.
"""

from collections.abc import Callable, Iterable

import torch

WARM_UP = 3  # calls before recording, in which libraries choose kernels and take their memory


class Replayed:
    """Does what ``work`` does, again and again, on a CUDA device.

    A recorded call repeats the same kernels on the same tensors: ``work`` may depend on numbers
    that change only through tensors that it holds and through the seeds of ``generators``, and
    must not wait for the GPU. The first calls run it as it is.
    """

    def __init__(self, work: Callable[[], None], generators: Iterable[torch.Generator]) -> None:
        """Fix the work and every generator that it draws from."""
        self.work, self.generators = work, list(generators)
        self.calls, self.graph = 0, None

    def __call__(self) -> None:
        """Do the work once."""
        if self.graph is None and self.calls < WARM_UP:
            self._run()
            self.calls += 1
            return
        if self.graph is None:
            self.graph = self._record()
        self.graph.replay()

    def _run(self) -> None:
        """Run the work off the default stream, as `torch.cuda.graph` asks for before recording."""
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            self.work()
        current.wait_stream(side)

    def _record(self) -> torch.cuda.CUDAGraph:
        """Record the work without running it, while other threads may wait for the GPU."""
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.work()
        return graph
