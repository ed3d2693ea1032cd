"""The loops that run instructions: plain functions that numba compiles, printed into modules as they stand.

``data`` holds addresses and lengths: memory; integers, their number; numbers, their number; weights; scratch memory,
its length. ``call`` is defined in the module (:mod:`eomsym.codegen.backends.interpreter`).
"""


def sweep(d, order, code, data):
    """Degree d of all tables: the one place where rows of integers are decoded."""
    count = (order + 1) * (order + 2) // 2
    last = d == order and d > 0
    for line in range(code.shape[0]):
        mix = code[line, 10]
        if not (last and mix == -2):
            call(
                code[line, 0],
                d,
                code[line, 9] if d > 0 else 0,
                1 if last and mix >= 0 else 0,
                count,
                data[5] + 8 * (mix if mix > 0 else 0) * (order + 1),
                order,
                data[6],
                data[7],
                data[0] + 8 * count * code[line, 1],
                code[line, 2],
                data[0] + 8 * count * code[line, 3],
                code[line, 4],
                data[0] + 8 * count * code[line, 5],
                code[line, 6],
                data[1] + 8 * code[line, 7],
                data[2] - code[line, 7],
                data[3] + 8 * code[line, 8],
                data[4] - code[line, 8],
            )


def run(code, data, m, given, order, begin, lanes, rows, out):
    """Sweep at each point of `given`, and copy `rows` of the output table, which begins there, into `out`.

    ``given[point, k]`` is coefficient k of the parameters in powers of s.
    """
    count = (order + 1) * (order + 2) // 2
    for point in range(given.shape[0]):
        for k in range(given.shape[1]):
            place = (k * (k + 1) // 2 + k) * given.shape[2]
            for q in range(given.shape[2]):
                m[place + q] = given[point, k, q]
        for d in range(order + 1):
            sweep(d, order, code, data)
        for r in range(rows.size):
            place = begin * count + rows[r] * lanes
            for q in range(lanes):
                out[point, r, q] = m[place + q]


def descend(code, after, data, m, eta, steps, every, implicit, update, out):
    """The running optimiser: iterate number ``every * r`` into ``out[r]``.

    The parameters are the first table. An implicit step is repeated to rounding. Returns the step at which the run left
    the finite numbers (or an implicit step did not converge), or 0.
    """
    n = out.shape[1]
    before = m[:n].copy()
    for q in range(n):
        out[0, q] = m[q]
    for k in range(steps):
        change = 0.0
        size = 0.0
        for _ in range(1000 if implicit else 1):
            if implicit:
                for q in range(n):
                    before[q] = m[update + q]
            sweep(0, 0, code, data)
            change = 0.0
            if implicit:
                for q in range(n):
                    change = max(change, abs(m[update + q] - before[q]))
                    size = max(size, abs(m[update + q]))
            if change <= 4e-16 * size:
                break
        if implicit and change > 1e-12 * size:
            return k + 1
        sweep(0, 0, after, data)
        largest = 0.0
        for q in range(n):
            m[q] += eta * m[update + q]
            if not abs(m[q]) <= largest:
                largest = abs(m[q])
        if not largest < 1e300:
            return k + 1
        if (k + 1) % every == 0:
            for q in range(n):
                out[(k + 1) // every, q] = m[q]
    return 0
