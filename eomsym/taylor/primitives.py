"""The machine of Taylor tables: a few primitives, written once for every ring.

A *table* holds the coefficients ``y_ij`` of a series in time s and step size eta, truncated at total degree.
It is stored by total degree: the entry of ``s**i eta**(d-i)`` is number ``d(d+1)/2 + i``, and the numbers of an entry
(its *lanes*) lie side by side. All tables live in one flat memory ``m``; a table is named by the place where it begins.

Sorted by total degree the table is an ordinary Taylor series, whose coefficient of degree d is the binary form
``sum_i y_i s**i eta**(d-i)``: products convolve, and since the Euler operator ``D = s d/ds + eta d/deta`` multiplies
degree d by d and is a derivation, ``y' = w x'`` becomes ``d y_d = sum_k k x_k w_(d-k)``, without a special case.
A primitive fills in degree d of the table `out` from degrees 0..d of its inputs and 0..d-1 of `out`.

All primitives have the same arguments: the degree ``d``; ``low``, which is 1 where the pure powers of eta
(i = 0, d > 0) are known to vanish and are never touched, and 2 more at the last degree; the memory ``m``, whose last
number is the ring's zero; the numbers ``c`` and the integers ``table`` of the loss; the tables ``out``, ``a``, ``b``;
three integers ``i``, ``j``, ``k`` and a place ``at`` in ``c``.

At the last degree only the sum over its entries e with the weights ``m[-2 - e]`` is wanted. It stands in the place of
entry d. All that is linear works on this one entry; many weights are zero, and a product of matrices of one entry with
the weighted sum of others takes the place of many products (a third less time at order 6).

numba compiles these lines for float64 (:mod:`eomsym.codegen`); on object arrays they run as plain Python over exact
fractions, polynomials and Arb balls. They are therefore plain functions of numbers and flat arrays and carry no
annotations: generated modules contain them as they stand. Inner loops run over slices, whose bounds numba can see;
that makes them three times faster than sums of indices.

References
----------
A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), section 13.2 (Taylor rules in one variable),
doi:10.1137/1.9780898717761.
"""

import math

import numpy as np


def convolve(d, low, m, c, table, out, a, b, n, first, divide, at):
    """Set ``out_d = sum (c0 + c1 k + c2 d) a_k b_(d-k)`` over k = first..d, over d if `divide`; plus c3 at degree 0."""
    if d < first:
        return
    zero = m[-1]
    last = low > 1
    low = low % 2
    both = a == b and first == 0  # a square: each pair k < d - k once, doubled
    for start in range(0, n, 128):  # lanes in blocks that stay in the fastest cache
        count = min(128, n - start)
        for e in range(low if d else 0, d + 1):
            o = out + (d * (d + 1) // 2 + (d if last else e)) * n + start
            z = m[o : o + count]
            if e == low or not last:
                for q in range(count):
                    z[q] = zero
            share = m[-2 - e]
            begin = d + 1 if last and e < d and share == 0 else first
            for k in range(begin, d // 2 + 1 if both else d + 1):
                h = d - k
                weight = c[at] + c[at + 1] * k + c[at + 2] * d
                if both and k < h:
                    weight = weight + weight
                bottom = max(low if k else 0, e - h)
                top = min(k, e - (low if h else 0))
                if last and k * h == 0:  # one factor is a weighted sum already
                    bottom = k
                    top = k if e == d else -1
                elif last:
                    weight = weight * share
                for p in range(bottom, top + 1):
                    x = a + (k * (k + 1) // 2 + p) * n + start
                    y = b + (h * (h + 1) // 2 + e - p) * n + start
                    u = m[x : x + count]
                    w = m[y : y + count]
                    for q in range(count):
                        z[q] += weight * (u[q] * w[q])
            if divide and (e == d or not last):
                for q in range(count):
                    z[q] /= d
            if d == 0:
                for q in range(count):
                    z[q] += c[at + 3]


def value(d, low, m, c, table, out, a, b, n, function, k, at):
    """Degree 0 of exp (0), tanh (1) and the reciprocal (2)."""
    if d > 0:
        return
    x = m[a : a + n]
    z = m[out : out + n]
    if function == 0:  # a loop for each, so that it can become vector instructions
        for q in range(n):
            z[q] = np.exp(x[q])
    elif function == 1:
        for q in range(n):
            z[q] = np.tanh(x[q])
    else:
        for q in range(n):
            z[q] = 1 / x[q]


def value_too(d, low, m, c, table, out, a, b, n, function, k, at):
    """Degree 0 of sigmoid (0), sin (1), cos (2), a power (3), log (4) and arctan (5); apart, to be compiled apart."""
    if d > 0:
        return
    x = m[a : a + n]
    z = m[out : out + n]
    for q in range(n):
        if function == 0:
            z[q] = 1 / (1 + np.exp(-x[q]))
        elif function == 1:
            z[q] = np.sin(x[q])
        elif function == 2:
            z[q] = np.cos(x[q])
        elif function == 3:
            z[q] = x[q] ** c[at]
        elif function == 4:
            z[q] = np.log(x[q])
        elif function == 5:
            z[q] = np.arctan(x[q])


def special(d, low, m, c, table, out, a, b, n, function, k, at):
    """Degree 0 of a function that only floating-point numbers know: softplus (0) and erf (1)."""
    if d > 0:
        return
    x = m[a : a + n]
    z = m[out : out + n]
    for q in range(n):
        if function == 0:
            z[q] = max(x[q], 0.0) + np.log1p(np.exp(-abs(x[q])))
        else:
            z[q] = math.erf(x[q])


def times_first(d, low, m, c, table, out, a, b, n, j, k, at):
    """Multiply degree d > 0 of `out`, lane by lane, by degree 0 of `a`."""
    if d == 0:
        return
    x = m[a : a + n]
    for e in range(d if low > 1 else low, d + 1):
        o = out + (d * (d + 1) // 2 + e) * n
        z = m[o : o + n]
        for q in range(n):
            z[q] *= x[q]


def combine(d, low, m, c, table, out, a, first, n, width, rows, at):
    """Add the part of a sparse affine map that reads one table, `width` lanes wide; `first` sets the n lanes anew.

    At `rows` in `table`: the number r of rows with coefficients, which ones, r + 1 row pointers, and the lane of each
    coefficient. At `at` in `c`: the coefficients and, if `first`, the n offsets and a zero.
    """
    count = table[rows]
    which = rows + 1
    ends = which + count
    size = table[ends + count]
    lanes = table[ends + count + 1 : ends + count + 1 + size]
    weights = c[at : at + size]
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = d * (d + 1) // 2 + e
        z = m[out + place * n : out + (place + 1) * n]
        x = m[a + place * width : a + (place + 1) * width]
        if first:
            for q in range(n):
                z[q] = c[at + size + q] if d == 0 else c[at + size + n]
        for r in range(count):
            row = table[which + r]
            total = z[row]
            for k in range(table[ends + r], table[ends + r + 1]):
                total += weights[k] * x[lanes[k]]
            z[row] = total


def affine(d, low, m, c, table, out, a, b, n, two, k, at):
    """``out = c0 a`` or, if `two`, ``out = c0 a + c1 b``."""
    begin = (d * (d + 1) // 2 + (d if low > 1 else low if d else 0)) * n
    count = (d + 1) * (d + 2) // 2 * n - begin
    z = m[out + begin : out + begin + count]
    x = m[a + begin : a + begin + count]
    y = m[b + begin : b + begin + count]
    if two:
        for q in range(count):
            z[q] = c[at] * x[q] + c[at + 1] * y[q]
    else:
        for q in range(count):
            z[q] = c[at] * x[q]


def array(d, low, m, c, table, out, a, b, n, mode, k, at):
    """A constant array (mode 0), `a` plus it (1), or `a` times it, lane by lane (2)."""
    zero = m[-1]
    w = c[at : at + n]
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = (d * (d + 1) // 2 + e) * n
        z = m[out + place : out + place + n]
        x = m[a + place : a + place + n]
        for q in range(n):
            if mode == 2:
                z[q] = w[q] * x[q]
            elif mode == 0:
                z[q] = w[q] if d == 0 else zero
            else:
                z[q] = x[q] + (w[q] if d == 0 else zero)


def copy(d, low, m, c, table, out, a, b, width, start, place, at):
    """Lanes of `a` to lanes of `out`. In `table`: width of `a`, first lane there, number of lanes."""
    n = table[place]
    skip = table[place + 1]
    count = table[place + 2]
    for e in range(d if low > 1 else low if d else 0, d + 1):
        o = out + (d * (d + 1) // 2 + e) * width + start
        x = a + (d * (d + 1) // 2 + e) * n + skip
        z = m[o : o + count]
        y = m[x : x + count]
        for q in range(count):
            z[q] = y[q]


def clear(d, low, m, c, table, out, a, b, n, j, k, at):
    """Set degree d to zero."""
    zero = m[-1]
    for z in range(out + d * (d + 1) // 2 * n, out + (d + 1) * (d + 2) // 2 * n):
        m[z] = zero


def transpose(d, low, m, c, table, out, a, b, rows, columns, k, at):
    """`rows` and `columns` are those of the input."""
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = (d * (d + 1) // 2 + e) * rows * columns
        for r in range(rows):
            x = m[a + place + r * columns : a + place + (r + 1) * columns]
            for q in range(columns):
                m[out + place + q * rows + r] = x[q]


def total(d, low, m, c, table, out, a, b, rows, columns, axis, at):
    """Sum of `a`, which has `rows` and `columns`, along an axis."""
    zero = m[-1]
    width = columns if axis == 0 else rows
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = d * (d + 1) // 2 + e
        z = m[out + place * width : out + (place + 1) * width]
        for q in range(width):
            z[q] = zero
        for r in range(rows):
            x = a + (place * rows + r) * columns
            y = m[x : x + columns]
            for q in range(columns):
                z[q if axis == 0 else r] += y[q]


def expand(d, low, m, c, table, out, a, b, rows, columns, axis, at):
    """Copies of `a` along an axis, up to `rows` and `columns`."""
    width = columns if axis == 0 else rows
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = d * (d + 1) // 2 + e
        x = m[a + place * width : a + (place + 1) * width]
        for r in range(rows):
            o = out + (place * rows + r) * columns
            z = m[o : o + columns]
            for q in range(columns):
                z[q] = x[q if axis == 0 else r]


def center(d, low, m, c, table, out, a, b, rows, columns, k, at):
    """`a` less the largest entry of each column at degree 0, a constant."""
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = (d * (d + 1) // 2 + e) * rows * columns
        for q in range(rows * columns):
            m[out + place + q] = m[a + place + q]
    if d == 0:
        for q in range(columns):
            peak = m[a + q]
            for r in range(1, rows):
                if m[a + r * columns + q] > peak:
                    peak = m[a + r * columns + q]
            for r in range(rows):
                m[out + r * columns + q] -= peak


def gate(d, low, m, c, table, out, a, b, n, j, k, at):
    """`a` times c0 where degree 0 of `b` is positive, times c1 elsewhere."""
    x = m[b : b + n]
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = (d * (d + 1) // 2 + e) * n
        z = m[out + place : out + place + n]
        y = m[a + place : a + place + n]
        for q in range(n):
            z[q] = (c[at] if x[q] > 0 else c[at + 1]) * y[q]


def matmul(d, low, m, c, table, out, a, b, rows, inner, columns, scratch):
    """Product of two tables of matrices.

    The entries of one degree of `a`, one below the other, times one entry of `b` give neighbouring entries of `out`:
    one product for all of them, small ones by loops, large ones by BLAS through memory at `scratch`. At the last degree
    each entry of `a` is multiplied with a weighted sum of entries of `b`.
    """
    zero = m[-1]
    last = low > 1
    low = low % 2
    size = rows * columns
    begin = out + (d * (d + 1) // 2 + (d if last else 0)) * size
    z = m[begin : out + (d + 1) * (d + 2) // 2 * size]
    for q in range(z.size):
        z[q] = zero
    for k in range(d + 1):
        h = d - k
        first = low if k else 0
        height = rows if last else (k + 1 - first) * rows
        bottom = low if h else 0
        if last:
            bottom = d if k == d else first
        for p in range(bottom, (k if last else h) + 1):
            x = a + (k * (k + 1) // 2 + (p if last else first)) * rows * inner
            y = b + (h * (h + 1) // 2 + (h if last else p)) * inner * columns
            o = 0 if last else (first + p) * size
            u = z[o : o + height * columns]
            if last and 0 < k < d:
                y = scratch
                mixed = m[y : y + inner * columns]
                for q in range(inner * columns):
                    mixed[q] = zero
                for e in range(low, h + 1):
                    if m[-2 - p - e] != 0:
                        o = b + (h * (h + 1) // 2 + e) * inner * columns
                        w = m[o : o + inner * columns]
                        for q in range(inner * columns):
                            mixed[q] += m[-2 - p - e] * w[q]
            if height * inner * columns < 1000:
                for r in range(height):
                    v = u[r * columns : (r + 1) * columns]
                    for t in range(inner):
                        w = m[y + t * columns : y + (t + 1) * columns]
                        factor = m[x + r * inner + t]
                        for q in range(columns):
                            v[q] += factor * w[q]
            else:
                place = scratch + (inner * columns if last else 0)
                spare = m[place : place + height * columns]
                left = m[x : x + height * inner].reshape(height, inner)
                right = m[y : y + inner * columns].reshape(inner, columns)
                np.dot(left, right, spare.reshape(height, columns))
                for q in range(height * columns):
                    u[q] += spare[q]


def matmul_right(d, low, m, c, table, out, a, b, rows, inner, columns, at):
    """Times a constant matrix on the right: the entries of one degree, one below the other, are one product."""
    skip = d if low > 1 else low if d else 0
    count = (d + 1 - skip) * rows
    x = a + (d * (d + 1) // 2 + skip) * rows * inner
    o = out + (d * (d + 1) // 2 + skip) * rows * columns
    left = m[x : x + count * inner].reshape(count, inner)
    right = c[at : at + inner * columns].reshape(inner, columns)
    np.dot(left, right, m[o : o + count * columns].reshape(count, columns))


def matmul_left(d, low, m, c, table, out, a, b, rows, inner, columns, at):
    """A constant matrix times each entry."""
    left = c[at : at + rows * inner].reshape(rows, inner)
    for e in range(d if low > 1 else low if d else 0, d + 1):
        place = d * (d + 1) // 2 + e
        x = a + place * inner * columns
        o = out + place * rows * columns
        right = m[x : x + inner * columns].reshape(inner, columns)
        np.dot(left, right, m[o : o + rows * columns].reshape(rows, columns))


#: Primitives by number: the first column of a plan's code.
PRIMITIVES = (
    convolve,
    combine,
    value,
    value_too,
    affine,
    times_first,
    special,
    gate,
    array,
    copy,
    clear,
    matmul,
    matmul_right,
    matmul_left,
    transpose,
    total,
    expand,
    center,
)
#: Machines, from small to large: a loss runs on the first one that has all the primitives that it needs. Few of them,
#: because each is compiled once (some seconds) and then serves all losses on it.
MACHINES = (3, 8, len(PRIMITIVES))
#: The primitive that knows each function, and its number there.
FUNCTIONS = {
    "exp": ("value", 0),
    "tanh": ("value", 1),
    "reciprocal": ("value", 2),
    "sigmoid": ("value_too", 0),
    "sin": ("value_too", 1),
    "cos": ("value_too", 2),
    "power": ("value_too", 3),
    "log": ("value_too", 4),
    "atan": ("value_too", 5),
    "softplus": ("special", 0),
    "erf": ("special", 1),
}
