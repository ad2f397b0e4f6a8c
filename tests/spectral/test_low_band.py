"""The fast ways of R_ce against the straightforward one: complex FFT of every class plane, then masks."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.nets.models.truncation import resize
from specseg.spectral import _low_band as lb
from specseg.spectral import cross_entropy as ce
from specseg.spectral import spectrum as sp

CPU = torch.device("cpu")
CASES = {
    "h": st.integers(1, 17),
    "w": st.integers(1, 17),
    "classes": st.integers(1, 5),
    "void": st.sampled_from([0.0, 0.3, 1.0]),
    "boundary": st.sampled_from(sp.BOUNDARIES),
    "seed": st.integers(0, 99),
}


def draw(h, w, classes, void, seed, batch=2, scale=2.0):
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(batch, classes, h, w, generator=g, dtype=torch.float64)
    labels = torch.randint(0, classes, (batch, h, w), generator=g)
    hidden = torch.rand(batch, h, w, generator=g) < void
    hidden[:1, 0, 0] = False  # with void = 1 the first image keeps one pixel and the others none
    return logits, labels.masked_fill(hidden, 255)


def straightforward(logits, labels, limits, boundary):
    """Eq. 9 as it stands: fft2 of all planes of labels, logits and log-sum-exp in complex128, products, masks."""
    logits = logits.double()
    onehot = torch.stack([labels == c for c in range(logits.shape[1])], 1).double()
    b = sp.spectrum(onehot, boundary=boundary)
    y = sp.spectrum(logits, boundary=boundary)
    y_p = sp.spectrum(logits.logsumexp(1), boundary=boundary)
    parts = (b.conj() * (y_p[:, None] - y)).sum(1).real
    shape = tuple(labels.shape[-2:])
    kept = [(parts * sp.box_mask(shape, n, boundary=boundary)).sum((-2, -1)) for n in limits]
    return torch.stack(kept, 1), parts.sum((-2, -1))


@settings(max_examples=120, deadline=None)
@given(**CASES, fft=st.booleans())
def test_both_ways_are_the_straightforward_one(h, w, classes, void, boundary, seed, fft):
    logits, labels = draw(h, w, classes, void, seed)
    limits = list(range(max(h, w) // 2 + 1))
    kept, total = straightforward(logits, labels, limits, boundary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ce, "CROSSOVER", -1 if fft else 10**9)
        parts = ce.truncated_cross_entropy(logits, labels, limits, boundary=boundary)
        single = ce.truncated_cross_entropy(logits.float(), labels, limits, boundary=boundary)
    assert torch.allclose(parts.kept, kept, atol=1e-12) and torch.allclose(parts.total, total, atol=1e-12)
    assert torch.allclose(single.kept, kept, atol=1e-5) and single.kept.dtype == single.total.dtype == torch.float64
    assert torch.equal(parts.kept[:, -1], parts.total)


@settings(max_examples=80, deadline=None)
@given(**CASES, gh=st.integers(1, 7), gw=st.integers(1, 7))
def test_grid_logits_give_what_their_up_sampling_gives(h, w, classes, void, boundary, seed, gh, gw):
    grid, _ = draw(gh, gw, classes, 0.0, seed)
    _, labels = draw(h, w, classes, void, seed)
    full = F.interpolate(grid, size=(h, w), mode="bilinear", align_corners=True)
    limits = list(range(max(h, w) // 2 + 1))
    kept, total = straightforward(full, labels, limits, boundary)
    parts = ce.truncated_from_grid(grid, labels, limits, boundary=boundary)
    assert torch.allclose(parts.kept, kept, atol=1e-12) and torch.allclose(parts.total, total, atol=1e-12)
    assert torch.equal(parts.kept[:, -1], parts.total)
    assert parts.pixels.tolist() == (labels != 255).sum((-2, -1)).tolist()


EXTREMES = {
    "noise": lambda y: 3 * y,
    "far apart": lambda y: 1e4 * y,
    "one-hot": lambda y: 1e4 * F.one_hot(y.argmax(1), y.shape[1]).movedim(-1, 1).to(y),
    "near the bound": lambda y: 160 * F.one_hot(y.argmax(1), y.shape[1]).movedim(-1, 1).to(y) * y.abs().clamp(max=0.5),
    "one far class": lambda y: y - 300 * (torch.arange(y.shape[1]) == 0)[:, None, None],
    "equal": torch.zeros_like,
    "large in common": lambda y: y + 1e4,
}


@settings(max_examples=150, deadline=None)
@given(cells=st.tuples(st.integers(1, 9), st.integers(1, 9)), gh=st.integers(1, 7), gw=st.integers(1, 7),
       classes=st.integers(1, 5), void=st.sampled_from([0.0, 0.3, 1.0]), kind=st.sampled_from(sorted(EXTREMES)),
       boundary=st.sampled_from(sp.BOUNDARIES), single=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_whole_cells_and_extreme_logits_give_what_their_up_sampling_gives(
    cells, gh, gw, classes, void, kind, boundary, single, seed
):
    """Frames whose pixels divide each cell of the grid alike: exponentials by products, or all rows where too far."""
    shape = [c * (g - 1) + 1 if g > 1 else c for c, g in zip(cells, (gh, gw), strict=True)]
    grid = EXTREMES[kind](draw(gh, gw, classes, 0.0, seed)[0])
    labels = draw(*shape, classes, void, seed)[1]
    grid = grid.float().double() if single else grid
    full = F.interpolate(grid, size=shape, mode="bilinear", align_corners=True)
    limits = list(range(max(shape) // 2 + 1))
    kept, total = straightforward(full, labels, limits, boundary)
    parts = ce.truncated_from_grid(grid.float() if single else grid, labels, limits, boundary=boundary)
    error = (1e-6 if single else 1e-14) * (10 + float((grid - grid.amax(1, keepdim=True)).abs().max()))
    error += 1e-14 * float(grid.abs().max())  # what the straightforward way carries through its sums
    assert torch.allclose(parts.total, total, atol=error, rtol=0)
    assert torch.allclose(parts.kept, kept, atol=10 * error, rtol=0)


@pytest.mark.parametrize("void", [0.0, 0.05])
@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
def test_float32_at_a_real_size_is_within_1e4_of_float64(void, boundary):
    """129 pixels, 21 classes, confident logits on a grid of 33: maps with contours, as labels have."""
    g = torch.Generator().manual_seed(0)
    seeds = F.interpolate(torch.randn(1, 21, 7, 7, generator=g), size=(129, 129), mode="bicubic")
    labels = seeds.argmax(1)
    planes = F.one_hot(labels, 21).movedim(-1, 1).float()
    grid = 15 * resize(F.avg_pool2d(planes, 3, 1, 1), 33) + torch.randn(1, 21, 33, 33, generator=g)
    labels = labels.masked_fill(torch.rand(1, 129, 1, generator=g) < void, 255)
    logits, limits = resize(grid, 129), [64, 63, 32, 16, 8, 4, 2, 1]
    exact = ce.relative_loss_rate(resize(grid.double(), 129), labels, limits, boundary=boundary)
    assert 0.02 < float(ce.cross_entropy(logits, labels)) < 0.5 and float(exact[-1]) > 1
    for ours in (
        ce.relative_loss_rate(logits, labels, limits, boundary=boundary),
        ce.loss_rate(ce.truncated_from_grid(grid, labels, limits, boundary=boundary)),
    ):
        assert torch.allclose(ours, exact, atol=1e-4, rtol=0)
        assert ours[0] == 0
    double = ce.loss_rate(ce.truncated_from_grid(grid.double(), labels, limits, boundary=boundary))
    assert torch.allclose(double, exact, atol=1e-11, rtol=0)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 20), nu_max=st.integers(0, 12), boundary=st.sampled_from(sp.BOUNDARIES))
def test_waves_are_orthonormal_and_span_the_box(n, nu_max, boundary):
    w = lb.waves(n, nu_max, boundary, torch.float64, CPU)
    full = w.sums.diff(dim=0)
    assert torch.allclose(full.T @ full / n, torch.eye(full.shape[1], dtype=torch.float64), atol=1e-12)
    assert torch.equal(full[:, 0], torch.ones(n, dtype=torch.float64))
    x = torch.randn(3, n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    assert torch.allclose(lb.analyse(x, w), full.T @ x, atol=1e-12)
    assert torch.allclose(lb.analyse(x, w, swap=True), (full.T @ x).mT, atol=1e-12)
    for limit in range(min(nu_max, n // 2) + 1):
        of_box = full[:, w.rim <= limit]
        low = sp.band_limit(x.mT.unsqueeze(-2), limit, boundary=boundary).squeeze(-2).mT
        if limit == n // 2:
            low = x  # the Nyquist box is everything
        assert torch.allclose(of_box @ (of_box.T @ x) / n, low, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 99))
def test_label_runs_tile_the_map(h, w, seed):
    labels = torch.randint(0, 3, (h, w), generator=torch.Generator().manual_seed(seed))
    again = torch.full((h, w), -1)
    for value, row, first, after in zip(*(x.tolist() for x in lb.label_runs(labels)), strict=True):
        assert first < after and bool((again[row, first:after] == -1).all())
        again[row, first:after] = value
        assert after == w or labels[row, after] != value  # runs are maximal
    assert torch.equal(again, labels)


@pytest.mark.parametrize("runs", [1, 7, 10**6])
def test_label_coefficients_do_not_depend_on_how_much_is_taken_up_at_once(monkeypatch, runs):
    labels = torch.randint(0, 4, (11, 12), generator=torch.Generator().manual_seed(0))
    labels[3], labels[:3, :6] = 255, 0  # class 1 to 3 have few runs
    labels[4:] = labels[4:].clamp(max=1)  # class 0 and 1 have more than rows
    rows, cols = (lb.waves(n, 4, "periodic", torch.float64, CPU) for n in (11, 12))
    monkeypatch.setattr(lb, "RUNS", runs)
    classes, ours = lb.label_coefficients(labels, 255, 6, rows, cols)
    planes = (labels[None] == classes[:, None, None]).double()
    assert classes.tolist() == [0, 1, 2, 3]
    assert torch.allclose(ours, lb.plane_coefficients(planes, rows, cols)[0], atol=1e-12)
    assert torch.allclose(ours[:, 0, 0], planes.sum((1, 2)), atol=1e-12)


def test_gradients_pass_through_both_routes():
    logits, labels = draw(9, 8, 3, 0.2, 1, batch=1)
    grid, _ = draw(4, 5, 3, 0.0, 2, batch=1)
    for call, x in ((ce.truncated_cross_entropy, logits), (ce.truncated_from_grid, grid)):
        assert torch.autograd.gradcheck(lambda v, call=call: call(v, labels, [1, 2]).kept, x.requires_grad_())


@pytest.mark.parametrize("change", [
    lambda x: x.to(memory_format=torch.channels_last), lambda x: x.half(), lambda x: x.bfloat16(),
    lambda x: x.repeat_interleave(2, 3)[..., ::2],
])  # fmt: skip
def test_other_layouts_and_precisions_of_the_logits(change):
    logits, labels = draw(12, 9, 3, 0.2, 4)
    logits = logits.half().bfloat16().float()  # values that all of them hold
    expected = ce.relative_loss_rate(logits, labels, [1, 3])
    assert torch.allclose(ce.relative_loss_rate(change(logits), labels, [1, 3]), expected, atol=1e-6)


def test_logits_far_apart_neither_overflow_nor_lose_the_loss():
    logits, labels = draw(9, 9, 3, 0.0, 5, scale=300.0)
    kept, total = straightforward(logits, labels, [1], "periodic")
    parts = ce.truncated_cross_entropy(logits.float(), labels, [1])
    assert torch.allclose(parts.total, total, rtol=1e-5) and torch.allclose(parts.kept, kept, rtol=1e-4)


@pytest.mark.parametrize(("change", "words"), [
    (lambda y, b: (y[0], b), "grid_logits: expected floating"),
    (lambda y, b: (y, b[:1]), "labels: expected shape"),
    (lambda y, b: (y[:, :1], b), "grid_logits have 1 classes"),
    (lambda y, b: (y / 0, b), "grid_logits: 72 of 72 values are not finite"),
    (lambda y, b: (y[..., :0], b), "grid_logits: empty"),
])  # fmt: skip
def test_bad_grids_are_named(change, words):
    grid, _ = draw(3, 4, 3, 0.0, 0)
    _, labels = draw(9, 8, 3, 0.0, 0)
    with pytest.raises(ValueError, match=words):
        ce.truncated_from_grid(*change(grid, labels), [1])
    with pytest.raises(ValueError, match="average 'median'"):
        ce.loss_rate(ce.truncated_from_grid(grid, labels, [1]), average="median")
    with pytest.raises(ValueError, match="nu_max 5"):
        ce.truncated_from_grid(grid, labels, [5])
