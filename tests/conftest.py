"""What tests of several folders use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest


@pytest.fixture(scope="session")
def valid() -> Callable[..., None]:
    """Check a record against the schema of its kind, and the records in it."""
    import jsonschema
    from referencing import Registry, Resource

    from eomsym.output.records import KINDS, schema

    schemas = {kind: schema(kind) for kind in (*KINDS, "head")}
    registry = Registry().with_resources([(s["$id"], Resource.from_contents(s)) for s in schemas.values()])

    def check(record: Mapping[str, Any], kind: str = "") -> None:
        chosen = schemas[kind or record["schema"].removeprefix("eomsym.")]
        jsonschema.Draft202012Validator(chosen, registry=registry).validate(record)
        for part in record.get("records", ()):
            check(part)

    return check
