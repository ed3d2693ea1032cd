"""Loop around the machine: the discrete optimiser.

Plain loops that numba compiles (array assignments would add seconds to the compile time); every generated module
contains them. ``execute(d, low, m, machine)`` fills in degree d of all tables; the parameters are the first table in
memory and the field g begins at `field`.
"""


def descend(history, slopes, eta, steps, every, past, weights, extrapolation, coupling, machine, field, m, out):
    """The discrete optimiser: iterate number ``every * r`` into ``out[r]``.

    ``history`` and ``slopes`` are rings of the last iterates and of the field -g at their stages; iterate k lies at
    ``k % depth``, and those of k <= 0 (for slopes, k < 0) are given. An explicit method evaluates its stages once; an
    implicit one iterates them to rounding. Returns the step at which the run left the finite numbers (or an
    implicit stage did not converge), or 0.
    """
    depth, n = history.shape
    count = coupling.shape[0]
    implicit = False
    for i in range(count):
        for j in range(i, count):
            implicit = implicit or coupling[i, j] != 0
    x = m[:n]
    for q in range(n):
        out[0, q] = history[0, q]
    for k in range(steps):
        now = k % depth
        for _sweep in range(1000 if implicit else 1):
            change = 0.0
            size = 0.0
            for i in range(count):
                for q in range(n):
                    x[q] = 0.0
                for h in range(extrapolation.shape[1]):
                    if extrapolation[i, h] != 0:
                        for q in range(n):
                            x[q] += extrapolation[i, h] * history[(k - h) % depth, q]
                for j in range(count if implicit else i):
                    if coupling[i, j] != 0:
                        for q in range(n):
                            x[q] += eta * coupling[i, j] * slopes[now, j, q]
                execute(0, 1, m, machine)
                for q in range(n):
                    slope = -m[field + q]
                    change = max(change, abs(slope - slopes[now, i, q]))
                    size = max(size, abs(slope))
                    slopes[now, i, q] = slope
            if change <= 4e-16 * size:
                break
        if implicit and change > 1e-12 * size:
            return k + 1
        for q in range(n):
            x[q] = 0.0
        for i in range(count):
            for h in range(weights.shape[1]):
                if weights[i, h] != 0:
                    for q in range(n):
                        x[q] += weights[i, h] * slopes[(k - h) % depth, i, q]
        for q in range(n):
            x[q] *= eta
        for h in range(past.size):
            if past[h] != 0:
                for q in range(n):
                    x[q] += past[h] * history[(k - h) % depth, q]
        largest = 0.0
        for q in range(n):
            if not abs(x[q]) <= largest:
                largest = abs(x[q])
            history[(k + 1) % depth, q] = x[q]
        if not largest < 1e300:
            return k + 1
        if (k + 1) % every == 0:
            for q in range(n):
                out[(k + 1) // every, q] = x[q]
    return 0
