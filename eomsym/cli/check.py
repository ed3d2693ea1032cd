"""``eomsym check``: whether a certificate holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from eomsym.cli.options import Command
from eomsym.cli.show import EXIT, note
from eomsym.errors import HypothesisError, InputError
from eomsym.files import content


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def command(file: Path) -> None:
    """Check a certificate of `eomsym certify`; exit status 1 where it does not hold, 2 where it is none.

    The programs that do it need nothing of eomsym; `python -c "import eomsym.bounds.checker as c; print(c.__file__)"`
    says where they lie.
    """
    from eomsym.bounds.certificates import check_certificate, claim_of
    from eomsym.output.terminal import echo

    try:
        proof = json.loads(content(file))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; give a file that `eomsym certify` wrote") from error
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}") from error
    try:
        found = check_certificate(proof)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except HypothesisError as error:
        note(str(error))
        sys.exit(EXIT["failed"])
    echo(f"holds: {claim_of(proof, found)}")
