"""Verdicts: measured errors against the theory, with an honest third answer, ``inconclusive``."""
