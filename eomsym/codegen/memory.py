"""How much memory there is, and a refusal before it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from eomsym.errors import SizeError

__all__ = ["available", "check_memory"]

#: What is left to everything else.
SHARE = 0.9
#: Requests below are never refused.
SMALL = 2**28


def available() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not say.

    ``EOMSYM_MEMORY`` (bytes) says it instead, for instance under a limit that the system does not show.

    Examples
    --------
    >>> found = available()
    >>> found is None or found > 2**20
    True
    """
    chosen = os.environ.get("EOMSYM_MEMORY")
    if chosen:
        return int(float(chosen))
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _of_sysconf()
    known = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    free = int(known["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in known else None
    limit = _of_group()
    found = [x for x in (free, limit) if x is not None]
    return min(found) if found else None


def _of_group() -> int | None:
    """What the control group of this process has left."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = Path(limit).read_text(encoding="ascii"), Path(used).read_text(encoding="ascii")
            return max(int(most) - int(now), 0)
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return None


def _of_sysconf() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def check_memory(needed: int, what: str) -> None:
    """SizeError where something would not fit.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        What they are for.
    """
    there = available()
    if there is not None and needed > max(SHARE * there, SMALL):
        raise SizeError(
            f"{what} need {needed / 2**30:.2f} GiB, and {there / 2**30:.2f} GiB are free; use a lower order, fewer "
            "samples, or parts of the data (network.split), or a machine with more memory"
        )
