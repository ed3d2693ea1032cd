"""Enclosures and the search for certificates against a plain reading: boxes, growths, radii, limits of work."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import flint
import numpy as np
import pytest
import sympy
from flint import arb, ctx

import eomsym as eom
from eomsym.bounds import certificates, checker, network_certificates, rigorous
from eomsym.bounds.rigorous import EnclosedCurvature, _Field, enclose_flow, rigorous_distance
from eomsym.errors import HypothesisError, InputError
from eomsym.taylor.rings.balls import enclosed, working

BENT = eom.Loss("(1/2-x)**2/2 + 3/8*(y-3/4*x**2)**2/2 + x*y/8", variables="x y")
START = [0.75, -0.5]


def next_up(x: Any) -> float:
    return float(np.nextafter(float(x), np.inf))


def same(found: Any, expected: Any) -> None:
    """Balls with the same middles and radii."""
    for a, b in zip(found, expected, strict=True):
        assert float(a.mid()) == pytest.approx(float(b.mid()), rel=1e-14, abs=1e-300)
        assert float(a.rad()) == pytest.approx(float(b.rad()), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("order", range(3))
def test_velocity_jacobian_and_taylor_series(order: int) -> None:
    x, y, e = sympy.symbols("x y eta")
    loss = (sympy.Rational(1, 2) - x) ** 2 / 2 + sympy.Rational(3, 8) * (y - 3 * x**2 / 4) ** 2 / 2 + x * y / 8
    variables = (x, y)
    g = sympy.Matrix([loss.diff(v) for v in variables])
    hessian = g.jacobian(variables)
    bent = sympy.Matrix([(g.T * sympy.hessian(one, variables) * g)[0] for one in g])
    terms = [g, hessian * g / 2, hessian * hessian * g / 3 + bent / 12]
    velocity = -sum((e**k * terms[k] for k in range(order + 1)), sympy.zeros(2, 1))
    at = {x: sympy.Rational(3, 4), y: -sympy.Rational(1, 2), e: sympy.Rational(1, 8)}
    field = _Field(BENT, order)
    with working():
        point, eta = [enclosed(one) for one in START], enclosed(0.125)
        found = [float(one) for one in field.velocity(point, eta)]
        columns = [[float(one) for one in column] for column in field.jacobian(point, eta)]
        series = [[float(one) for one in row] for row in field.taylor(point, eta, 3)]
    np.testing.assert_allclose(found, np.array(velocity.subs(at), dtype=float).ravel(), rtol=1e-13)
    np.testing.assert_allclose(
        np.array(columns).T, np.array(velocity.jacobian(variables).subs(at), dtype=float), rtol=1e-13
    )
    line, expected = sympy.Matrix(variables), [START]
    for k in range(1, 4):
        line = line.jacobian(variables) * velocity
        expected.append(np.array(line.subs(at), dtype=float).ravel() / math.factorial(k))
    np.testing.assert_allclose(series, expected, rtol=1e-12)


def plain_eigenvalue(symmetric: list[list[Any]], slack: float) -> float:
    """The first of the numbers ``guess + slack 2**k`` that is proven to be above."""
    guess = float(np.linalg.eigvalsh(np.array([[float(x.mid()) for x in row] for row in symmetric]))[-1])
    while True:
        bound = guess + slack
        rows = [[(arb(bound) if i == j else 0) - x for j, x in enumerate(row)] for i, row in enumerate(symmetric)]
        if checker.definite(rows):
            return bound
        slack *= 2


def test_numbers_above_all_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    with working():
        for n in (1, 2, 3):
            for radius in (0.0, 1e-9, 0.3):
                raw = 10 * rng.standard_normal((n, n))
                columns = [[arb(float(raw[i, j]), radius) for i in range(n)] for j in range(n)]
                symmetric = [[(columns[i][j] + columns[j][i]) / 2 for j in range(n)] for i in range(n)]
                middle = (raw + raw.T) / 2
                width = math.sqrt(sum(float(x.rad()) ** 2 for row in symmetric for x in row))
                expected = plain_eigenvalue(symmetric, 1e-12 * float(abs(middle).max()) + 0.02 * width + 1e-300)
                assert rigorous._largest_eigenvalue(columns) == pytest.approx(expected, rel=1e-15, abs=0)
                slack = 1e-12 * (1e-300 + float(abs(middle).max())) + 0.02 * width + 1e-300
                expected = plain_eigenvalue(symmetric, slack)
                assert certificates._growth(symmetric, checker.definite, arb) == pytest.approx(
                    expected, rel=1e-15, abs=0
                )
        zero = [[arb(0), arb(0)], [arb(0), arb(0)]]
        assert certificates._growth(zero, checker.definite, arb) == pytest.approx(1e-300, rel=1e-9, abs=0)
    asked: list[float] = []

    def never(rows: Any) -> bool:
        asked.append(float(rows[0][0].mid()))
        return False

    with pytest.raises(HypothesisError, match="the enclosure of the Hessian is too wide; use a smaller eta or more"):
        certificates._growth([[arb(1)]], never, arb)
    assert len(asked) == 80


def test_lengths_are_rounded_up() -> None:
    with working():
        assert rigorous._norm([arb(3), arb(4)]) == next_up(5.0)
        assert rigorous._norm([arb(2, 1), arb(0, 4)]) == pytest.approx(5.0, rel=1e-6, abs=0)
        assert rigorous._above(arb(1.0)) == certificates._above(arb(1.0)) == next_up(1.0)
        for found in (rigorous._above, certificates._above):
            with pytest.raises(HypothesisError, match="an enclosure became infinite"):
                found(arb("inf"))


def test_a_limit_of_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(rigorous, "_positive_definite", lambda rows: asked.append(1) and False)
    with pytest.raises(HypothesisError, match="enclosure of the Hessian is too wide; use a smaller eta or radius"):
        rigorous._largest_eigenvalue([[arb(1)]])
    assert len(asked) == 60


def test_enclosed_spectra_of_a_cubic() -> None:
    # L = x**3/3 on [1/2, 3/2]: A = 2 x, g = x**2.
    around = EnclosedCurvature(eom.Loss("x**3/3", variables="x")).at(np.array([1.0]))
    ball = around.spectrum(0.5)
    assert (ball.lower, ball.upper, ball.slope) == pytest.approx((2 - 1.28, 2 + 1.28, 2.25), rel=1e-6, abs=0)
    assert ball.lower <= 1 < 3 <= ball.upper
    assert ball.slope >= 2.25
    point = around.spectrum(0.0)
    assert (point.lower, point.upper, point.slope) == pytest.approx((2.0, 2.0, 1.0), rel=1e-11, abs=0)
    bent = EnclosedCurvature(BENT).at(np.array(START))
    assert 0 <= bent.rounding() < 1e-15
    shifted = EnclosedCurvature(BENT)
    plain = shifted.gradient
    shifted.gradient = lambda theta: plain(theta) + np.array([3e-3, -4e-3])
    assert shifted.at(np.array(START)).rounding() == pytest.approx(5e-3, rel=1e-9, abs=0)


def plain_box(field: Any, ball: list[Any], h: Any, eta: Any) -> tuple[list[Any], int]:
    box, span = ball, h * arb(0.5, 0.5)
    for attempt in range(30):
        image = [x + span * f for x, f in zip(ball, field.velocity(box, eta), strict=True)]
        if attempt > 0 and all(w.contains_interior(n) for w, n in zip(box, image, strict=True)):
            return image, attempt
        box = [arb(x.mid(), 1.1 * x.rad() + 1e-30) for x in image]
    raise AssertionError


@pytest.mark.parametrize("order", range(3))
def test_a_step_of_an_enclosure(order: int) -> None:
    field = _Field(BENT, order)
    with working():
        for radius, share in ((0.0, 1), (1e-6, 2), (1e-2, 4)):
            eta = enclosed(0.125)
            h = eta / share
            ball = [arb(x, radius) for x in START]
            box, _ = plain_box(field, ball, h, eta)
            same(rigorous._a_priori(field, ball, h, eta), box)
            for degree in (1, 4):
                rows = field.taylor([enclosed(x) for x in START], eta, degree)[:degree]
                rows.append(field.taylor(box, eta, degree)[degree])
                ends = [sum((row[i] * h**k for k, row in enumerate(rows)), arb(0)) for i in range(2)]
                moved, reached = rigorous._advance(field, np.array(START), radius, h, eta, degree)
                np.testing.assert_allclose(moved, [float(end.mid()) for end in ends], rtol=1e-14)
                missed = math.sqrt(sum(float((end - float(end.mid())).abs_upper()) ** 2 for end in ends))
                growth = rigorous._largest_eigenvalue(field.jacobian(box, eta))
                expected = math.exp(growth * 0.125 / share) * radius + missed
                assert reached == pytest.approx(expected, rel=1e-5, abs=0)


def test_whole_enclosures(monkeypatch: pytest.MonkeyPatch) -> None:
    found = enclose_flow(BENT, START, eta=0.125, steps=2, order=1, degree=5, substeps=2)
    field, centre, radius = _Field(BENT, 1), np.array(START), 0.0
    with working():
        for k in range(1, 5):
            centre, radius = rigorous._advance(field, centre, radius, enclosed(0.125) / 2, enclosed(0.125), 5)
            if k % 2 == 0:
                np.testing.assert_array_equal(found.centres[k // 2], centre)
                assert found.radii[k // 2] == radius
    np.testing.assert_array_equal(found.times, [0.0, 0.125, 0.25])
    assert found.radii[0] == 0
    bound = rigorous_distance(BENT, START, eta=0.125, steps=2, order=1, degree=5, substeps=2)
    path = eom.descend(BENT, START, eta=0.125, steps=2).thetas
    expected = np.linalg.norm(path - found.centres, axis=1) + found.radii
    np.testing.assert_allclose(bound.values, expected, rtol=1e-9, atol=1e-16)
    assert (bound.certificate, bound.values[0]) == ("rigorous", 0.0)
    assert bound.claim == "distance of gradient descent from the equation of motion of order 1 up to time 0.25"
    # By default eight coefficients and one substep; at least one of each.
    default, plain = (enclose_flow(BENT, START, eta=0.125, steps=1, **o) for o in ({}, {"degree": 8, "substeps": 1}))
    assert default.radii[1] == plain.radii[1]
    loose = rigorous_distance(BENT, START, eta=0.125, steps=1)
    assert (
        loose.values.tolist()
        == rigorous_distance(BENT, START, eta=0.125, steps=1, degree=8, substeps=1).values.tolist()
    )
    for name in ("steps", "degree", "substeps"):
        enclose_flow(BENT, START, **({"eta": 0.01, "steps": 1} | {name: 1}))
        with pytest.raises(InputError, match=f"{name} must be an integer from 1 to 10+, got 0; type {name}=1"):
            enclose_flow(BENT, START, **({"eta": 0.01, "steps": 1} | {name: 0}))
    asked: list[int] = []
    wild: Any = SimpleNamespace(
        velocity=lambda box, eta: asked.append(1) or [arb(0, 1 + 9 * float(b.rad())) for b in box]
    )
    with working(), pytest.raises(HypothesisError, match="found no box that the motion stays in for one step"):
        rigorous._a_priori(wild, [arb(0)], arb(1), arb(1))
    assert len(asked) == 30


def test_a_box_of_a_certificate() -> None:
    field = checker.Field([[[2, 0], "1/2"], [[0, 4], "1/4"], [[1, 1], "1"]], 2, flint.fmpq(1, 8), 1)
    before = ctx.prec
    ctx.prec = checker.DIGITS
    try:
        for radius, h in ((0.0, 0.0625), (1e-3, 0.125)):
            ball = [arb(x, radius) for x in START]
            box = [(x, 1.01 * radius + 1e-300) for x in START]
            while True:
                image = field.image(ball, [arb(mid, rad) for mid, rad in box], arb(h))
                if all(arb(mid, rad).contains(x) for (mid, rad), x in zip(box, image, strict=True)):
                    break
                middles = [float(x.mid()) for x in image]
                box = [(m, 1.1 * next_up(abs(x - m).upper()) + 1e-300) for m, x in zip(middles, image, strict=True)]
            found = certificates._box(field, START, radius, arb(h), flint)
            np.testing.assert_allclose(found, box, rtol=1e-14)
        asked: list[int] = []
        wild: Any = SimpleNamespace(
            image=lambda ball, box, h: asked.append(1) or [arb(0, 9 * float(b.rad())) for b in box]
        )
        with pytest.raises(HypothesisError, match="found no box that the motion stays in for one step"):
            certificates._box(wild, START, 1.0, arb(1), flint)
        assert len(asked) == 60
        asked.clear()
        endless: Any = SimpleNamespace(image=lambda ball, box, h: asked.append(1) or [arb("nan"), arb(0)])
        with pytest.raises(HypothesisError, match="found no box that the motion stays in for one step"):
            certificates._box(endless, START, 1.0, arb(1), flint)
        assert len(asked) == 1
    finally:
        ctx.prec = before


def test_as_many_substeps_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def proof(terms: Any, theta: Any, numbers: dict[str, Any], count: int) -> Any:
        asked.append(numbers["substeps"])
        if numbers["substeps"] < needed:
            raise HypothesisError("too wide")
        return numbers | {"count": count}

    square = eom.Loss("x**2/2", variables="x")
    monkeypatch.setattr(certificates, "_proof", proof)
    for needed, expected in ((1, [1]), (2, [1, 4]), (5, [1, 4, 16]), (64, [1, 4, 16, 64]), (65, [1, 4, 16, 64])):
        asked.clear()
        if needed > 64:
            with pytest.raises(HypothesisError, match="too wide"):
                certificates.certificate(square, [1.0], eta=0.5, steps=3)
        else:
            found = certificates.certificate(square, [1.0], eta=0.5, steps=3)
            assert (found["degree"], found["order"], found["eta"], found["count"]) == (10, 0, (0.5).hex(), 3)
        assert asked == expected
    needed = 1
    asked.clear()
    certificates.certificate(square, [1.0], eta=0.5, steps=1, degree=1, substeps=1, order=2)
    assert asked == [1]
    for name in ("steps", "degree", "substeps"):
        with pytest.raises(InputError, match=f"{name} must be an integer from 1 to 10+, got 0; type {name}=1"):
            certificates.certificate(square, [1.0], **({"eta": 0.5, "steps": 1} | {name: 0}))
    for wrong in (eom.Loss("sqrt(2)*x**2", variables="x"), square.with_weight_decay(0.5)):
        with pytest.raises(InputError, match="polynomial with rational coefficients and no weight decay, got"):
            certificates.certificate(wrong, [1.0], eta=0.5, steps=1)


def test_the_radii_of_a_certificate() -> None:
    proof = certificates.certificate(BENT, START, eta=0.125, steps=2, order=1, degree=6, substeps=2)
    assert (proof["degree"], proof["substeps"], proof["order"], len(proof["steps"])) == (6, 2, 1, 4)
    before = ctx.prec, ctx.cap
    ctx.prec = checker.DIGITS
    try:
        field = checker.Field(proof["loss"], 2, flint.fmpq(1, 8), 1)
        h, centre, radius, run = arb(0.0625), list(START), 0.0, [arb(x) for x in START]
        for k, step in enumerate(proof["steps"], 1):
            box = [(float.fromhex(mid), float.fromhex(rad)) for mid, rad in step["box"]]
            assert box == certificates._box(field, centre, radius, h, flint)
            balls = [arb(*pair) for pair in box]
            growth = certificates._growth(field.symmetric(balls), checker.definite, arb)
            assert float.fromhex(step["growth"]) == growth
            ends = field.end([arb(x) for x in centre], balls, h, 6)
            centre = [float(end.mid()) for end in ends]
            assert [float.fromhex(x) for x in step["centre"]] == centre
            missed = checker.length([end - arb(x) for end, x in zip(ends, centre, strict=True)])
            radius = next_up(((arb(growth) * h).exp() * radius + missed).upper())
            assert float.fromhex(step["radius"]) == radius
            if k % 2 == 0:
                slopes = [checker.value(p, run) for p in field.gradient]
                run = [x - g / 8 for x, g in zip(run, slopes, strict=True)]
                gap = checker.length([x - arb(y) for x, y in zip(run, centre, strict=True)]) + radius
                assert float.fromhex(proof["claim"][k // 2]) == next_up(gap.upper())
    finally:
        ctx.prec, ctx.cap = before
    assert proof["claim"][0] == (0.0).hex()


# networks -------------------------------------------------------------------------------------------------------------


def test_the_ball_in_which_a_motion_stays_longest() -> None:
    def at(r: Any) -> Any:
        return 1 + r + 3 * r**2, 2 + r

    for h, radius in ((0.01, 0.0), (0.05, 0.01), (0.1, 0.2)):
        size, best = 1.01 * (radius + h), None
        for _ in range(40):
            size *= 1.5
            speed = 1 + size + 3 * size**2
            if radius + h * speed <= size and (best is None or size / speed > best[0] / best[1]):
                best = size, speed
            elif best is not None:
                break
        if best is None:
            with pytest.raises(HypothesisError, match="found no ball that the motion stays in for one step"):
                network_certificates._ball(at, arb(h), arb(radius))
            continue
        ball, speed, growth = network_certificates._ball(at, arb(h), arb(radius))
        assert (float(ball), float(speed)) == pytest.approx(best, rel=1e-12, abs=0)
        assert float(growth) == pytest.approx(2 + radius + h * best[1], rel=1e-12, abs=0)
    asked: list[int] = []
    with pytest.raises(HypothesisError, match="use a smaller eta, or start where the loss is smaller"):
        network_certificates._ball(lambda r: asked.append(1) or (1 + 9 * r, r), arb(1), arb(0))
    assert len(asked) == 41


def network() -> tuple[eom.DeepLinear, np.ndarray]:
    inputs = np.array([[1.0, 0.25], [0.5, -1.0], [0.25, 0.75]])
    return eom.DeepLinear((2, 1, 1), inputs, inputs @ np.array([[0.5], [-0.25]])), np.array([0.5, 0.25, 0.75])


@pytest.mark.parametrize("steps, every", [(1, 1), (7, 1), (network_certificates.LOOKS * 3 + 1, 3)])
def test_where_the_path_of_a_certificate_is_looked_at(steps: int, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, real = list[int](), network_certificates.descend
    monkeypatch.setattr(
        network_certificates, "descend", lambda *given, **named: looked.append(named["every"]) or real(*given, **named)
    )
    monkeypatch.setattr(network_certificates, "_plan", lambda *_: {})
    monkeypatch.setattr(network_certificates, "_walked", lambda *_: {})
    loss, start = network()
    network_certificates.network_certificate(loss, start, eta=0.001, steps=steps)
    assert looked == [every]


def test_the_plan_of_a_certificate() -> None:
    loss, start = network()
    given = network_certificates._given(loss, start)[1]
    path = np.array([start, 0.9 * start, 1.1 * start])
    size = next(2.0**k for k in range(-9, 9) if 2.0**k >= np.abs(path).max())
    for eta, steps, least, order in ((0.125, 10, 1e-3, 0), (2.0, 40, 1e-9, 1), (0.01, 1, 1e-60, 0)):
        proof = {**given, "eta": eta.hex(), "order": order}
        found = network_certificates._plan(proof, loss, path, eta, steps, least)
        net = network_certificates_net(proof)
        slow, growth = math.inf, 0.0
        for theta in path:
            at = net.bounds([flint.arb_mat(w.tolist()) for w in loss.unpack(theta).values()])
            ball, speed, m = network_certificates._ball(at, arb(eta) / 256, arb(0))
            slow, growth = min(slow, float(ball / speed)), growth + 1.1 * float(m) * eta * steps / 3
        substeps = max(math.ceil(4 * eta / slow), 1)
        nats = growth - math.log(1e-3 * least / (size * steps * substeps))
        assert found["substeps"] == substeps
        assert found["degree"] == math.ceil(nats / math.log(substeps * slow / eta)) + 1
        assert found["bits"] == 64 + math.ceil(nats / math.log(2))
        assert found["run_bits"] == network_certificates._run_bits(proof, steps, found["bits"], size)
        bits = found["bits"]
        while not loses(proof, steps, bits) < size * 2.0 ** -(found["bits"] - 32):
            bits *= 2
        assert found["run_bits"] == bits
    with pytest.raises(HypothesisError, match=r"3 steps lose more than 16384 bits; use fewer steps"):
        network_certificates._run_bits(proof, 3, 16385, 1.0)


def network_certificates_net(proof: dict[str, Any]) -> Any:
    from eomsym.bounds.checker_networks import Network, exact

    return Network(proof["inputs"], proof["targets"], arb(exact(proof["eta"])), proof["order"])


def loses(proof: dict[str, Any], steps: int, bits: int) -> Any:
    from eomsym.bounds.checker_networks import length, matrix

    before = ctx.prec
    try:
        ctx.prec = bits
        net, run = network_certificates_net(proof | {"order": 0}), [flint.arb_mat(matrix(r)) for r in proof["start"]]
        for _ in range(steps):
            run = net.descend(run)
        return float(length(*(w - w.mid() for w in run)))
    finally:
        ctx.prec = before


def test_limits_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, start = network()
    before = ctx.prec
    for wrong in (
        eom.DeepLinear((2, 2), loss.inputs, np.eye(2)[[0, 1, 0]], loss="cross_entropy"),
        loss.with_weight_decay(0.5),
        eom.Loss("x**2", variables="x"),
    ):
        with pytest.raises(InputError, match="DeepLinear network with squared error and no weight decay, got"):
            network_certificates._given(wrong, np.zeros(4))
    proof = network_certificates.certify_convergence(loss, start, epsilon=1.0, eta=0.125, steps=1)
    assert (proof["bits"], proof["steps"], proof["eta"], proof["epsilon"]) == (128, 1, (0.125).hex(), (1.0).hex())
    for options in ({"eta": 0.1}, {"steps": 3}):
        with pytest.raises(InputError, match="give both, or neither"):
            network_certificates.certify_convergence(loss, start, epsilon=1.0, **options)
    asked: list[int] = []
    results: list[Any] = []
    monkeypatch.setattr("eomsym.bounds.checker_convergence.end", lambda p: asked.append(p["bits"]) or results.pop(0))
    results[:] = [arb(1, 0.5), arb(1, 0.25), arb(1, 0)]
    assert network_certificates.certify_convergence(loss, start, epsilon=1.0, eta=0.1, steps=1)["bits"] == 512
    assert asked == [128, 256, 512]
    asked.clear()
    results[:] = [arb(1, 0.5)] * 9
    with pytest.raises(HypothesisError, match=r"epsilon = 1 of its infimum, got 1 after 1 steps; use more"):
        network_certificates.certify_convergence(loss, start, epsilon=1.0, eta=0.1, steps=1)
    assert asked == [128 * 2**k for k in range(8)]
    assert ctx.prec == before
    assert (network_certificates.LOOKS, network_certificates.SHARE, network_certificates.LEAST) == (20, 1e-3, 1e-60)
