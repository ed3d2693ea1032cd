"""The rings that Taylor tables are computed over.

A ring is called with an exact number to make an element, and ``ring.value(name, x, exponent)`` gives the value of an
elementary function (the exponent is that of ``"power"``); elements have ``+ - * /``.
"""
