"""Generic parts of everything that shows a result; what is specific to a result stands next to its type."""

from .figures import Figure
from .pages import page
from .records import collection, dumps, read, record, schema, versions
from .tables import Column, Table

__all__ = [
    "Column",
    "Figure",
    "Table",
    "collection",
    "dumps",
    "page",
    "read",
    "record",
    "schema",
    "versions",
]
