"""What watching may cost: a share of a core for each training that runs (ours).

Over some minutes, that is: who has spent more than was earned waits until it is.
"""

from __future__ import annotations

import time

BURST = 60.0  # seconds whose share may be saved up
LONGEST = 3600.0  # seconds to wait for what was spent


class Budget:
    """Processor time that was earned, less what was spent; from when this is made on."""

    def __init__(self, share: float) -> None:
        """Earn a share of a core for each running training."""
        self.share, self.left = share, 0.0
        self.wall, self.cpu = time.monotonic(), time.process_time()
        self.running = 1

    def settle(self, running: int) -> None:
        """Account for the time since the last call, in which so many trainings ran."""
        wall, cpu = time.monotonic(), time.process_time()
        self.running = max(1, running)
        earned = self._rate * (wall - self.wall)
        self.left = min(self.left + earned - (cpu - self.cpu), self._rate * BURST)
        self.wall, self.cpu = wall, cpu

    def pause(self, least: float, cost: float) -> float:
        """Seconds to wait, at least so many, if each time costs so many of processor time."""
        return max(least, min(cost / self._rate, LONGEST))

    @property
    def _rate(self) -> float:
        return self.share * self.running
