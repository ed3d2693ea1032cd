"""The version of eomsym: the one place where it stands."""

__version__ = "1.0.0.dev0"
