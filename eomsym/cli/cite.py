"""``eomsym cite``: the references of eomsym and of the two papers that it builds on."""

from __future__ import annotations

from dataclasses import dataclass

import click

from eomsym._version import __version__

__all__ = ["command"]

_TITLE = "eomsym: the equation of motion of discrete optimisers, exact, compiled and verified"
_AUTHOR = "The eomsym developers"
_YEAR = 2026
_LICENSE = "MIT"


@dataclass(frozen=True)
class _Paper:
    """A conference paper; authors are pairs (family name, given name)."""

    key: str
    authors: tuple[tuple[str, str], ...]
    title: str
    year: int
    volume: int
    arxiv: str

    @property
    def booktitle(self) -> str:
        return f"Advances in Neural Information Processing Systems {self.volume}"

    @property
    def doi(self) -> str:
        return f"10.48550/arXiv.{self.arxiv}"


_PAPERS = (
    _Paper(
        key="miyagawa2022",
        authors=(("Miyagawa", "Taiki"),),
        title="Toward Equation of Motion for Deep Neural Networks: Continuous-time Gradient Descent and "
        "Discretization Error Analysis",
        year=2022,
        volume=35,
        arxiv="2210.15898",
    ),
    _Paper(
        key="elkabetz2021",
        authors=(("Elkabetz", "Omer"), ("Cohen", "Nadav")),
        title="Continuous vs. Discrete Optimization of Deep Neural Networks",
        year=2021,
        volume=34,
        arxiv="2107.06608",
    ),
)


def _bibtex() -> str:
    def entry(kind: str, key: str, **fields: object) -> str:
        lines = "".join(f"  {name:<9} = {{{value}}},\n" for name, value in fields.items())
        return f"@{kind}{{{key},\n{lines}}}\n"

    entries = [
        # Double braces keep BibTeX from reading the group's name as first and last names.
        entry("software", "eomsym", author=f"{{{_AUTHOR}}}", title=_TITLE, version=__version__, year=_YEAR)
    ]
    entries += [
        entry(
            "inproceedings",
            paper.key,
            author=" and ".join(f"{family}, {given}" for family, given in paper.authors),
            title=paper.title,
            booktitle=paper.booktitle,
            year=paper.year,
            eprint=paper.arxiv,
            doi=paper.doi,
        )
        for paper in _PAPERS
    ]
    return "\n".join(entries)


def _cff() -> str:
    lines = [
        "cff-version: 1.2.0",
        'message: "If you use eomsym, please cite it and the two papers that it builds on."',
        "type: software",
        f'title: "{_TITLE}"',
        "authors:",
        f'  - name: "{_AUTHOR}"',
        f'version: "{__version__}"',
        f"license: {_LICENSE}",
        "references:",
    ]
    for paper in _PAPERS:
        lines += ["  - type: conference-paper", f'    title: "{paper.title}"', "    authors:"]
        for family, given in paper.authors:
            lines += [f'      - family-names: "{family}"', f'        given-names: "{given}"']
        lines += [
            f"    year: {paper.year}",
            f'    collection-title: "{paper.booktitle}"',
            "    collection-type: proceedings",
            f'    doi: "{paper.doi}"',
        ]
    return "\n".join(lines) + "\n"


def _text() -> str:
    lines = [f"{_AUTHOR} ({_YEAR}). {_TITLE}. Version {__version__}."]
    for paper in _PAPERS:
        names = ", ".join(f"{given} {family}" for family, given in paper.authors)
        lines.append(f"{names} ({paper.year}). {paper.title}. {paper.booktitle}. doi:{paper.doi}")
    return "\n".join(lines) + "\n"


@click.command("cite")
@click.option(
    "--format",
    "form",
    type=click.Choice(["bibtex", "cff", "text"]),
    default="bibtex",
    show_default=True,
    help="How to print the references.",
)
def command(form: str) -> None:
    """Print the references of eomsym and of its two source papers."""
    click.echo({"bibtex": _bibtex, "cff": _cff, "text": _text}[form](), nl=False)
