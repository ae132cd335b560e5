"""Exact sums and products: the rounded result and the rounding error.

Source: D. E. Knuth, *The Art of Computer Programming*, vol. 2, section 4.2.2, theorem B; the
product is T. J. Dekker's (1971), with a fused multiply-add.
"""

from __future__ import annotations

from .bits import for_each_format, multiply_add


@for_each_format
def two_sum(a, b):
    """Return a + b and its rounding error."""

    def two_sum(a, b):
        total = a + b
        rounded = total - a
        return total, (a - (total - rounded)) + (b - rounded)

    return two_sum


@for_each_format
def two_product(a, b):
    """Return a b and its rounding error."""

    def two_product(a, b):
        product = a * b
        return product, multiply_add(a, b, -product)

    return two_product
