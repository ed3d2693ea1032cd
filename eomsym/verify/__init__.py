"""Verdicts: measured errors against the theory, with an honest third answer, ``inconclusive``.

This package has the name of the function `eomsym.verify`. Python binds ``eomsym.verify`` to the package as soon
as any module in it is imported, so the package can be called, and is then that function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call `eomsym.verify.order.verify`."""
        from eomsym.verify.order import verify

        return verify(*args, **options)


sys.modules[__name__].__class__ = _Callable
