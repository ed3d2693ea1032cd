"""Time as tests want it."""

from __future__ import annotations


class Looks:
    """A clock that shows how often it was looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now
