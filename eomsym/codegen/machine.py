"""The loop of the running optimiser: a plain function that numba compiles, printed into modules as it stands."""


def descend(code, after, integers, numbers, m, scratch, eta, steps, every, implicit, update, out):
    """The running optimiser: iterate number ``every * r`` into ``out[r]``.

    The parameters are the first table. An implicit step is repeated to rounding. Returns the step at which the run left
    the finite numbers (or an implicit step did not converge), or 0.
    """
    n = out.shape[1]
    x, before = m[:n], m[:n].copy()
    u = m[update : update + n]
    for q in range(n):
        out[0, q] = x[q]
    for k in range(steps):
        change = 0.0
        for _ in range(1000 if implicit else 1):
            if implicit:
                before[:] = u
            sweep(code, integers, numbers, m, scratch)
            change = 0.0
            size = 0.0
            if implicit:
                for q in range(n):
                    change = max(change, abs(u[q] - before[q]))
                    size = max(size, abs(u[q]))
            if change <= 4e-16 * size:
                break
        if implicit and change > 1e-12 * size:
            return k + 1
        sweep(after, integers, numbers, m, scratch)
        largest = 0.0
        for q in range(n):
            x[q] += eta * u[q]
            if not abs(x[q]) <= largest:
                largest = abs(x[q])
        if not largest < 1e300:
            return k + 1
        if (k + 1) % every == 0:
            for q in range(n):
                out[(k + 1) // every, q] = x[q]
    return 0
