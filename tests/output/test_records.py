"""Records: strict JSON, one head, schemas that are files."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import sympy

from eomsym.errors import InputError
from eomsym.output import records
from eomsym.output.records import KINDS, collection, data_hash, dumps, plain, read, record, schema, versions


@pytest.mark.parametrize("kind", [*KINDS, "head"])
def test_schemas_are_schemas(kind: str) -> None:
    found = schema(kind)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$id"] == f"eomsym.{kind}.json"
    assert found["title"]


def test_head_says_how_to_do_it_again(valid: Any) -> None:
    made = record(
        "collection", {"status": None, "records": []}, command="eomsym x", seed=3, start=[0.5, 1], data=data_hash([1])
    )
    valid(made)
    assert (made["command"], made["seed"], made["start"]) == ("eomsym x", 3, [0.5, 1.0])
    assert made["start_hash"] == data_hash([0.5, 1.0])
    age = datetime.now(UTC) - datetime.fromisoformat(made["date"])
    assert 0 <= age.total_seconds() < 60
    assert {"sympy", "numpy", "numba", "scipy", "python", "platform", "eomsym"} <= made["versions"].keys()
    assert not any("/" in str(value) for value in versions().values())


def test_what_is_missing_is_seen(valid: Any) -> None:
    made = record("collection", {"status": "passed", "records": []})
    for key in made:
        with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
            valid({k: v for k, v in made.items() if k != key}, "collection")
    with pytest.raises(jsonschema.ValidationError, match="'odd' is not one of"):
        valid(made | {"status": "odd"})


def test_bounds_and_refusals(valid: Any) -> None:
    bound = {"value": 0.5, "proven": True, "hypotheses": ["smooth"], "source": "a theorem"}
    rows = [{"order": 0, "true": 0.1, "measured": bound, "proven": {"refused": "no closed form"}, "rigorous": None}]
    content = {"quantity": "distance", "name": "x", "time": 1.0, "eta": 0.1, "epsilon": None, "rows": rows}
    valid(record("bounds", content))
    with pytest.raises(jsonschema.ValidationError, match="'order' is a required property"):
        valid(record("bounds", content | {"rows": [{"true": 0.1}]}))


def test_long_starts_are_kept_by_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST_START", 3)
    made = record("experiment", {}, start=np.zeros(4))
    assert made["start"] is None
    assert made["start_hash"] == data_hash(np.zeros(4))


def test_missing_packages_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise records.PackageNotFoundError(name)

    monkeypatch.setattr(records, "version", missing)
    assert versions()["scikit-learn"] is None


def test_hash_of_data_is_that_of_the_numbers() -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    assert data_hash(numbers) == data_hash(numbers.astype(">f8")) == data_hash(np.asfortranarray(numbers))
    assert len({data_hash(numbers), data_hash(numbers.T), data_hash(numbers.ravel()), data_hash(numbers, numbers)}) == 4


def test_json_is_strict_and_short() -> None:
    value = {
        "nan": [math.nan, math.inf, 1.5],
        "array": np.eye(2),
        "exact": [Fraction(1, 3), sympy.Rational(1, 12), sympy.Symbol("beta")],
        "numbers": [np.float64("nan"), np.int64(3), np.bool_(True), 1 << 70],
        "path": Path("a"),
        "empty": [{}, [], None],
        'quoted "key"': "η",
    }
    text = dumps(value)
    assert (
        json.loads(text)
        == plain(value)
        == {
            "nan": [None, None, 1.5],
            "array": [[1, 0], [0, 1]],
            "exact": ["1/3", "1/12", "beta"],
            "numbers": [None, 3, True, 1 << 70],
            "path": "a",
            "empty": [{}, [], None],
            'quoted "key"': "η",
        }
    )
    assert '"nan": [null, null, 1.5],\n' in text
    assert "NaN" not in text


def test_collection_takes_the_worst_status() -> None:
    parts = {word: record("experiment", {"status": word}) for word in ("passed", "failed", "inconclusive")}
    assert collection(parts.values())["status"] == "failed"
    assert collection([parts["passed"]])["status"] == "passed"
    assert collection([])["status"] is None


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown kind of record 'x'; expected one of verification, "):
        record("x", {})
    with pytest.raises(InputError, match=r"unknown kind of record 'x'; expected one of .*, head"):
        schema("x")
    with pytest.raises(InputError, match="date, seed: the head of a record has these keys already"):
        record("experiment", {"seed": 1, "date": 2, "else": 3})
    path = tmp_path / "record.json"
    with pytest.raises(InputError, match=r"cannot read .*record.json: No such file or directory; give a file"):
        read(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="is no record of eomsym"):
        read(path)
    path.write_text(json.dumps(record("experiment", {}) | {"schema_version": 1}))
    with pytest.raises(InputError, match="has schema_version 1, expected 2; read it with eomsym"):
        read(path)
