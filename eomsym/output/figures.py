"""A figure that shows itself in a notebook and saves itself in the format of the file's name.

matplotlib is imported when a figure is made; it comes with ``pip install 'eomsym[plot]'``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError, MissingDependencyError
from eomsym.files import check_writable, write
from eomsym.output.style import RC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["FORMATS", "Figure", "check_figure", "legend_below", "on_axes", "styled", "whole_numbers"]

#: Formats by suffix, and what would make two files of the same figure differ.
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "png", "metadata": {"Software": None}},
    ".svg": {"format": "svg", "metadata": {"Date": None}},
    ".pdf": {"format": "pdf", "metadata": {"CreationDate": None}},
}


#: Of one figure; more do not fit on a page.
MOST_PANELS = 100


def _size(size: Any) -> tuple[float, float]:
    """Width and height of a panel in inches."""
    found = checks.items(size, "size", "(4.2, 3.8)")
    if len(found) != 2:
        raise InputError(f"size must be width and height in inches such as (4.2, 3.8), got {checks.shown(size)}")
    wide, high = (checks.number(one, "a length in size", 0.5, 100, such_as=4.0) for one in found)
    return wide, high


class Figure:
    """Panels side by side, or axes that somebody else made.

    Parameters
    ----------
    panels : int
        Number of axes.
    columns : int, optional
        How many side by side; all of them by default.
    size : tuple of float
        Width and height of a panel in inches.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Without a window: it is drawn where there is no screen, too.
    axes : tuple of matplotlib.axes.Axes

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = Figure(2)
    >>> _ = figure.axes[0].plot([1, 2, 3])
    >>> figure
    <Figure of 2 panels; .save("figure.png"), .svg or .pdf writes it>
    >>> figure.save("figure.jpg")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: cannot write figure.jpg: a figure is written as .png, .svg or .pdf; try figure.png
    """

    def __init__(self, panels: int = 1, *, columns: int | None = None, size: tuple[float, float] = (4.2, 3.8)) -> None:
        matplotlib = _matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        panels = checks.count(panels, "panels", 1, MOST_PANELS)
        wide = panels if columns is None else min(panels, checks.count(columns, "columns", 1))
        size = _size(size)
        high = -(-panels // wide)
        with matplotlib.rc_context(RC):
            figure = matplotlib.figure.Figure(figsize=(size[0] * wide + 0.4, size[1] * high), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.subplots(high, wide, squeeze=False).ravel().tolist()
        for extra in axes[panels:]:
            extra.remove()
        self.figure: Canvas = figure
        self.axes: tuple[Axes, ...] = tuple(axes[:panels])

    @classmethod
    def of(cls, axes: Axes | Sequence[Axes]) -> Figure:
        """The figure of axes that exist."""
        made = cls.__new__(cls)
        made.axes = tuple(axes) if isinstance(axes, Sequence) else (axes,)
        made.figure = made.axes[0].figure  # type: ignore[assignment]
        return made

    def to_bytes(self, format: str = "png", *, dpi: int = 200) -> bytes:
        """Return the content of a file, the same for the same figure.

        Parameters
        ----------
        format : {"png", "svg", "pdf"}
        dpi : int
            Dots per inch of a PNG.

        Examples
        --------
        >>> Figure().to_bytes()[1:4]
        b'PNG'
        """
        options = FORMATS.get(f".{format}")
        if options is None:
            raise InputError(f"unknown format {shown(format)} of a figure; expected png, svg or pdf")
        buffer = io.BytesIO()
        with _matplotlib().rc_context(RC):
            self.figure.savefig(buffer, dpi=dpi, **options)
        return buffer.getvalue()

    def save(self, path: str | Path, *, dpi: int = 200) -> Path:
        """Write the figure, whole or not at all, in the format of the suffix: ``.png``, ``.svg`` or ``.pdf``.

        Parameters
        ----------
        path : str or Path
            Its folder is made where there is none.
        dpi : int
            Dots per inch of a PNG.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If the suffix is another one, or the file cannot be written.
        """
        target = check_figure(path)
        return write(target, self.to_bytes(target.suffix.lower()[1:], dpi=dpi))

    def _repr_png_(self) -> bytes:
        return self.to_bytes("png", dpi=100)

    def _repr_svg_(self) -> str:
        text = self.to_bytes("svg").decode()
        return text[text.index("<svg") :]

    def __repr__(self) -> str:
        many = f"{len(self.axes)} panel{'s' * (len(self.axes) != 1)}"
        return f'<Figure of {many}; .save("figure.png"), .svg or .pdf writes it>'


def check_figure(path: str | Path) -> Path:
    """Check that a figure could be written there, before the work that goes into it.

    Raises
    ------
    InputError
        If the suffix is not that of a format, or nothing can be written there.

    Examples
    --------
    >>> check_figure("figure")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: cannot write figure: a figure is written as .png, .svg or .pdf; try figure.png
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        better = target.with_suffix(".png") if target.name else "figure.png"
        raise InputError(f"cannot write {target}: a figure is written as .png, .svg or .pdf; try {better}")
    return check_writable(target)


def on_axes(ax: Any, panels: int = 1, size: tuple[float, float] = (4.2, 3.8), columns: int | None = None) -> Figure:
    """The figure for ``plot(ax=None)``: a new one, or the one of the axes that were given.

    Raises
    ------
    InputError
        If there are not as many axes as panels.

    Examples
    --------
    >>> on_axes(None, 2)
    <Figure of 2 panels; .save("figure.png"), .svg or .pdf writes it>
    """
    if ax is None:
        return Figure(panels, size=size, columns=columns)
    figure = Figure.of(list(getattr(ax, "flat", ax)) if hasattr(ax, "__len__") else ax)
    if len(figure.axes) != panels:
        raise InputError(f"got {len(figure.axes)} axes for {panels} panels; leave ax out to have them made")
    return figure


def legend_below(ax: Axes) -> None:
    """Put the legend below the axes, where it covers no line."""
    options = {key.partition(".")[2]: value for key, value in RC.items() if key.startswith("legend.")}
    if not ax.get_legend_handles_labels()[0]:  # nothing was drawn that has a name
        return
    ax.legend(**options, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.17))


def whole_numbers(ax: Axes) -> None:
    """Let the marks below the axes stand at whole numbers only, such as orders.

    Examples
    --------
    >>> [ax] = Figure().axes
    >>> _ = ax.plot([0, 1, 2], [0, 1, 4])
    >>> whole_numbers(ax)
    >>> sorted({float(x) % 1 for x in ax.get_xticks()})
    [0.0]
    """
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def styled() -> Any:
    """The style of all figures as a context, for what is added to one that exists, such as colour bars."""
    return _matplotlib().rc_context(RC)


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; type: pip install 'eomsym[plot]'") from error
    return matplotlib
