"""Lines and ranks against numpy, scipy, statsmodels and slow loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from specseg.evidence import fits

POINTS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=20)


@settings(max_examples=40, deadline=None)
@given(POINTS)
def test_a_line_is_scipys(points):
    x, y = np.array(points).T
    if np.ptp(x) < 1e-3 or np.ptp(y) < 1e-3:
        return
    fit, want = fits.line(x, y), stats.linregress(x, y)
    assert [fit.slope, fit.intercept] == pytest.approx([want.slope, want.intercept], abs=1e-6)
    assert fit.r2 == pytest.approx(want.rvalue**2, abs=1e-6) and fit.n == len(x)


@settings(max_examples=30, deadline=None)
@given(POINTS)
def test_lines_of_draws_are_fitted_one_by_one(points):
    x, y = np.array(points).T
    if np.ptp(x) < 1e-3:
        return
    keep = np.ones((2, len(x) + 1), bool)
    keep[:, -1] = False  # a point that must not count
    both = fits.line(np.append(np.stack([x, -x]), [[9.0], [9.0]], axis=1), np.append(y, 5.0), keep)
    assert [both.slope[0], both.intercept[0]] == pytest.approx(np.polyfit(x, y, 1), abs=1e-6)
    assert both.slope[1] == pytest.approx(-both.slope[0]) and both.n.tolist() == [len(x)] * 2
    assert both.at(np.array([0.0, 1.0])).shape == (2, 2)
    assert both.at(0 * x)[0] == pytest.approx(both.intercept[0])


def test_r2_of_a_line_by_hand_and_where_nothing_varies():
    fit = fits.line([1, 2, 3], [1.0, 2.0, 6.0])
    residual = np.array([1.0, 2, 6]) - [0.5, 3, 5.5]
    assert fit.r2 == pytest.approx(1 - residual @ residual / 14)
    assert fits.line([0, 1, 2], [4.0, 4.0, 4.0]).r2 == 1


def test_a_line_needs_three_points_and_two_abscissas():
    with pytest.raises(ValueError, match="three points; 2 given"):
        fits.line([0, 1], [0, 1])
    with pytest.raises(ValueError, match="two different values of x; all 3 are 1"):
        fits.line([1, 1, 1], [0, 1, 2])
    for x in ([0.0, 1.0], [1.0, 1.0, 1.0, 1.0]):
        fit = fits.line(x, np.arange(len(x)), np.ones(len(x), bool))
        assert np.isnan([fit.slope, fit.intercept, fit.r2]).all()


def test_independent_intervals_are_students():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, 12))
    want = stats.linregress(x, y)
    low, high = fits.ols_intervals(x, y)["slope"]
    assert (low + high) / 2 == pytest.approx(want.slope)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 10) * want.stderr)
    low, high = fits.ols_intervals(x, y)["intercept"]
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 10) * want.intercept_stderr)


def test_wild_bootstrap_by_loops():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 1, 40)
    group = np.repeat(np.arange(8), 5)
    y = 0.5 * x + 0.1 * rng.standard_normal(8)[group] + 0.02 * rng.standard_normal(40)
    low, high = fits.wild_interval(x, y, group)

    def p_value(slope):
        def t(v):
            b, a = np.polyfit(x, v, 1)
            u = v - a - b * x
            return abs(b) / math.sqrt(sum(((x - x.mean()) * u)[group == k].sum() ** 2 for k in range(8)))

        null = y - slope * x
        u = null - null.mean()
        draws = [t(np.array(s)[group] * u) for s in itertools.product((-1, 1), repeat=8)]
        return np.mean(np.array(draws) >= t(null) - 1e-9)

    assert low < np.polyfit(x, y, 1)[0] < high
    for edge, outwards in ((low, -1), (high, 1)):
        assert p_value(edge - outwards * 0.01) > 0.05 >= p_value(edge + outwards * 0.01)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12))
def test_ranks_are_scipys(points):
    x, y = np.array(points, float).T
    got = fits.spearman(np.stack([x, x]), np.stack([y, -y]))
    want = 0.0 if np.ptp(x) == 0 or np.ptp(y) == 0 else stats.spearmanr(x, y)[0]
    assert got == pytest.approx([want, -want], abs=1e-9)
