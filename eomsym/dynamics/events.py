"""Events on a path: where a function of the parameters crosses zero, and whether the path ends there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import DivergenceError, InputError

__all__ = ["Crossing", "Event", "follow"]

Array = NDArray[np.float64]

#: Records between which a run is not interrupted.
CHUNK = 32


@dataclass(frozen=True)
class Event:
    """A function whose zeros a path is to report.

    Attributes
    ----------
    function : callable
        From the parameters, shape (n,), to a number.
    name : str
    ends : bool
        Whether the path ends at the first zero.

    Raises
    ------
    InputError
        If one of them is something else.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> half = eom.Event(lambda theta: theta[0] - 0.5, "half", ends=True)
    >>> path = eom.flow(loss, [1.0], time=[0.0, 1.0, 2.0], order=0, events=[half])
    >>> path.events[0].name, round(path.events[0].time, 6), path.end.round(9)
    ('half', 0.693147, array([0.5]))
    """

    function: Callable[[Array], float]
    name: str = "event"
    ends: bool = False

    def __post_init__(self) -> None:
        checks.function(self.function, "function", "the parameters")
        checks.text(self.name, "name", "half")
        checks.flag(self.ends, "ends")


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where the function of an event has changed its sign.

    Attributes
    ----------
    name : str
        Of the event.
    time : float
        On a flow the zero; of an optimiser ``eta`` times the first step behind it.
    theta : ndarray, shape (n,)
        The point there.
    rising : bool
        Whether the function has become positive.
    """

    name: str
    time: float
    theta: Array
    rising: bool


#: From a state, and the numbers of two records, to the states at the records behind the first one.
Advance = Callable[[Any, int, int], list[Any]]
#: From a state, the number of its record, and a function of states, to the time and the state of its zero.
Locate = Callable[[Any, int, Callable[[Any], float]], tuple[float, Any]]


def checked_events(events: Sequence[Event]) -> tuple[Event, ...]:
    """Events as a tuple, or InputError."""
    found = tuple(events) if isinstance(events, (list, tuple)) else (events,)
    for one in found:
        if not isinstance(one, Event):
            raise InputError(
                f"expected an event such as eomsym.Event(lambda theta: theta[0]), got {type(one).__name__}"
            )
    return found


def follow(
    advance: Advance, locate: Locate, point: Callable[[Any], Array], start: Any, last: int, events: Sequence[Event]
) -> tuple[list[Any], list[Crossing], tuple[float, Any] | None]:
    """Go along a path, a few records at a time, and look for events between neighbouring ones.

    Parameters
    ----------
    advance : callable
        States behind a record: ``advance(state, first, last)``.
    locate : callable
        The zero of a function between a record and the next: ``locate(state, record, function)``.
    point : callable
        From a state to its parameters.
    start : state
        At record 0.
    last : int
        Number of the last record.
    events : sequence of Event

    Returns
    -------
    states : list
        At the records, up to the end.
    crossings : list of Crossing
        In the order of time.
    end : (float, state) or None
        Where an event has ended the path.
    """
    states, crossings, values = [start], [], [_value(event, point(start)) for event in events]
    while len(states) <= last:
        first, stop = len(states) - 1, min(last, len(states) - 1 + CHUNK)
        try:
            found = advance(states[-1], first, stop)
        except DivergenceError:  # it may have met an event before
            found = advance(states[-1], first, first + 1)
        for state in found:
            now = [_value(event, point(state)) for event in events]
            met: list[tuple[float, Any, int]] = []
            for i, event in enumerate(events):
                if values[i] * now[i] < 0 or (now[i] == 0 and values[i] != 0):
                    time, there = locate(states[-1], len(states) - 1, _composed(event, point))
                    met.append((time, there, i))
            for time, there, i in sorted(met, key=lambda one: one[0]):
                crossings.append(Crossing(events[i].name, time, point(there), bool(now[i] > values[i])))
                if events[i].ends:
                    return states, crossings, (time, there)
            states.append(state)
            values = now
    return states, crossings, None


def _composed(event: Event, point: Callable[[Any], Array]) -> Callable[[Any], float]:
    """The function of an event, of states."""
    return lambda state: _value(event, point(state))


def _value(event: Event, theta: Array) -> float:
    value = float(event.function(theta))
    if np.isnan(value):
        raise InputError(
            f"the event {shown(event.name)} is not a number at {shown(theta)}; give it a value everywhere on the path"
        )
    return value
