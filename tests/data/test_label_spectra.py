"""Label maps in frequency: against the general transform, slow sums, closed forms, and the committed records."""

import numpy as np
import pytest
import torch
from conftest import loaded
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import datasets, transforms
from specseg.data import label_spectra as ls
from specseg.evidence import config, records
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

SHAPES = st.tuples(st.integers(3, 14), st.integers(3, 14))
REAL = ("voc2012", "camvid", "dubai")
ALL = (*REAL, "objects", "landcover", "streets")


def labels(shape, seed=0, classes=3, void=0.1):
    """A blocky random map: contours and some void."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, ((shape[0] + 2) // 3, (shape[1] + 2) // 3))
    label = np.kron(coarse, np.ones((3, 3), int))[: shape[0], : shape[1]]
    label[rng.random(shape) < void] = ls.VOID
    return torch.from_numpy(label)


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.integers(0, 9), st.sampled_from(sp.BOUNDARIES))
def test_rims_are_the_profile_of_the_full_spectrum(shape, seed, boundary):
    planes = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    full = sp.spectrum(planes, boundary=boundary).abs().square()
    assert torch.allclose(ls.rim_power(planes, boundary=boundary), sp.box_profile(full, boundary=boundary).sum(0))


@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
@pytest.mark.parametrize("shape", [(9, 9), (8, 12), (7, 10)])
def test_band_limited_is_the_projection_of_the_library(shape, boundary):
    planes = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    limits = list(range(min(shape) // 2 + 1))
    for nu, low in zip(limits, ls.band_limited(planes, limits, boundary=boundary), strict=True):
        if boundary == "periodic" and 2 * nu in shape:  # an even side's Nyquist bin is whole in the box
            continue
        assert torch.allclose(low, sp.band_limit(planes, nu, boundary=boundary), atol=1e-12)


@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
@pytest.mark.parametrize("void", ls.VOIDS)
def test_analyse_against_slow_sums(boundary, void):
    label, limits, b = labels((21, 21), seed=4), (6, 3, 1), sp.BOUNDARIES.index(boundary)
    found = ls.analyse(label, 4, void=void, limits=limits)
    short = ls.analyse(label, 4, void=void, limits=limits, whole=False)
    assert np.allclose(short["rims"][:, :7], found["rims"][:, :7])
    assert np.allclose(short["rims"].sum(1), found["rims"].sum(1))
    assert all(np.allclose(short[key], found[key]) for key in found if key not in ("rims", "near"))
    seen = annotation.fill_void(label) if void == "filled" else label
    planes = torch.stack([seen == c for c in range(4)]).double()
    present = planes.flatten(1).any(1)
    assert found["rims"][b].sum() == pytest.approx(float((seen != ls.VOID).double().mean()))  # Parseval
    distance = ls.contour_distance(seen, boundary=boundary)
    for k, nu in enumerate(limits):
        low = sp.band_limit(planes, nu, boundary=boundary)
        rest = (planes - low).square().sum(0)
        assert found["beyond"][b, k] == pytest.approx(float(rest.mean()))
        assert found["beyond"][b, k] == pytest.approx(found["rims"][b, nu + 1 :].sum())
        close = distance <= 21 / (2 * nu + 1)
        assert found["near"][b, k] == pytest.approx(float((rest * close).mean()), rel=1e-5)
        pred = torch.where(present[:, None, None], low, -torch.inf).argmax(0)
        wrong = float(((pred != label) & (label != ls.VOID)).sum() / (label != ls.VOID).sum())
        assert float(ls.pixel_error(found["confusion"][b, k])) == pytest.approx(wrong)
        same = annotation.band_limited_labels(seen, nu, boundary)  # the one-limit function of the library
        assert torch.equal(torch.where(seen == ls.VOID, ls.VOID, pred), same)
        if void == "filled":
            everywhere = float((pred != seen).double().mean())
            assert float(ls.pixel_error(found["everywhere"][b, k])) == pytest.approx(everywhere)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_the_whole_band_gives_the_labels_back_and_energy_only_grows(seed):
    label = labels((15, 15), seed=seed)
    found = ls.analyse(label, 3, limits=(7, 4, 1))
    assert (ls.pixel_error(found["confusion"][:, 0]) == 0).all() and found["beyond"][:, 0].max() < 1e-20
    assert (np.diff(found["beyond"], axis=1) > -1e-12).all() and (found["near"] <= found["beyond"] + 1e-6).all()


def test_a_step_rings_as_the_closed_form_says():
    # Two steps of a glued frame, half a frame apart: beyond nu the energy is near (1/pi^2)/nu, and a share 1/pi^2 of it
    # lies more than one cell from a step, since the rest rings as cos(k x)/(pi k x).
    n, nu = 2049, 32
    label = torch.zeros(1, n, dtype=torch.int64)
    label[:, : n // 2] = 1
    plane = label.double()[None]
    rest = plane - next(iter(ls.band_limited(plane, [nu])))
    energy = rest.square()[0]
    # each plane: |b(u)|^2 = 1/(pi u)^2 for odd u; sum over |u| > nu, both signs, tends to 1/(pi^2 nu)
    assert float(energy.mean()) == pytest.approx(1 / (np.pi**2 * nu), rel=0.02)
    far = ls.contour_distance(label) > n / (2 * nu + 1)
    assert float(energy[far].sum() / energy.sum()) == pytest.approx(1 / np.pi**2, abs=0.02)


def test_a_disc_falls_as_nu_to_minus_three_and_a_frame_jump_wraps():
    size = 513
    t = torch.arange(size, dtype=torch.float64) - size / 2
    disc = ((t[:, None] ** 2 + t[None, :] ** 2) < 120.3**2).double()[None]
    for boundary in sp.BOUNDARIES:
        rims = ls.rim_power(disc, boundary=boundary)
        assert ls.decay_exponent(rims, size, boundary=boundary) == pytest.approx(3, abs=0.1)
    half = (t[:, None] < 0).double().expand(size, size)[None].contiguous()  # a sky: it jumps at the frame too
    wrap, mirror = (float(ls.rim_power(half, boundary=b)[33:].sum()) for b in sp.BOUNDARIES)
    assert wrap / mirror == pytest.approx(2, rel=0.05)  # two steps against one


def test_contour_distance_is_the_nearest_jump():
    label = labels((17, 13), seed=2)
    for boundary in sp.BOUNDARIES:
        wide = np.pad(label, 17, mode="wrap") if boundary == "periodic" else label.numpy()
        jumps = []
        for (i, j), value in np.ndenumerate(wide):
            near = [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
            inside = [(a, b) for a, b in near if 0 <= a < wide.shape[0] and 0 <= b < wide.shape[1]]
            if any(wide[p] != value for p in inside):
                jumps.append((i, j))
        off = 17 if boundary == "periodic" else 0
        slow = [[min(np.hypot(i + off - a, j + off - b) for a, b in jumps) + 0.5 for j in range(13)] for i in range(17)]
        assert np.allclose(ls.contour_distance(label, boundary=boundary, reach=17), slow)
    assert bool(torch.isinf(ls.contour_distance(torch.zeros(4, 4))).all())


def test_summary_adds_before_it_divides():
    maps = [labels((33, 33), seed=k, void=0.02 * k) for k in range(5)]
    found = [ls.analyse(m, 3, limits=(8, 4)) for m in maps]
    stack = {k: np.stack([f[k] for f in found]) for k in found[0]}
    rows = ls.summary(stack, list("aabbc"), 33, limits=(8, 4), draws=50)

    def value(metric, **where):
        pick = rows[(rows[list(where)] == pd_series(where)).all(axis=1) & (rows.metric == metric)]
        assert len(pick) == 1
        return pick.iloc[0]

    row = value("energy_share", boundary="periodic", nu_max=4)
    assert row.value == pytest.approx(stack["rims"][:, 0, :5].sum() / stack["rims"][:, 0].sum())
    assert row.low <= row.value <= row.high and row.n == 5
    power = rows[(rows.metric == "power") & (rows.boundary == "mirrored")].set_index("nu").value
    energy = power.to_numpy() * ls.rim_bins(33, boundary="mirrored").numpy() * 3 * 5  # classes and images
    assert np.allclose(energy, stack["rims"][:, 1].sum(0))
    wrap = value("wrap_ratio", nu_max=8).value
    assert wrap == pytest.approx(stack["beyond"][:, 0, 0].sum() / stack["beyond"][:, 1, 0].sum())
    error = value("pixel_error", boundary="mirrored", nu_max=8).value
    wrong = stack["confusion"][:, 1, 0].sum(0)
    assert error == pytest.approx(1 - np.trace(wrong) / wrong.sum())


def pd_series(where):
    import pandas as pd

    return pd.Series(where)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ls.analyse(np.full((65, 65), 255), 2, void="filled"), "every pixel is void"),
        (lambda: ls.analyse(np.full((65, 65), 255), 2), "every pixel is void"),
        (lambda: ls.analyse(np.full((129, 129), 4), 4), "classes 4 .. 4, expected 0 .. 3"),
        (lambda: ls.analyse(np.zeros((129, 129)), 4, void="kept"), "void 'kept': expected one of masked, filled"),
        (lambda: ls.analyse(np.zeros((33, 33)), 4), "nu_max 64: expected 0 .. 16"),
        (lambda: ls.basis(9, 2, boundary="open"), "expected one of periodic, mirrored"),
        (lambda: ls.decay_exponent(torch.zeros(65), 129), "expected power > 0"),
    ],
)
def test_errors_name_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.fixture(scope="module", params=ALL)
def record(request):
    found = records.find("label_spectra", dataset=request.param)
    assert found, f"no committed record of {request.param}; run its command"
    return found[-1]


def test_records_are_whole_and_small(record):
    rows = record.rows
    assert record.profile == "standard" and record.meta["settings"]["size"] == 513
    assert sum(f.stat().st_size for f in record.path.iterdir()) < 300_000
    share = rows[(rows.metric == "energy_share") & (rows.frame == "crop")]
    assert len(share) == 2 * 2 * len(ls.LIMITS)
    assert share.value.between(0, 1).all() and (share.low <= share.value).all() and (share.value <= share.high).all()
    for _, part in share.groupby(["void", "boundary"]):
        assert part.sort_values("nu_max").value.is_monotonic_increasing
    power = rows[rows.metric == "power"]
    for boundary, part in power.groupby("boundary"):  # the spectrum and the shares tell the same story
        energy = (part.set_index("nu").value * ls.rim_bins(513, boundary=boundary).numpy()).sort_index()
        told = share[(share.void == "masked") & (share.boundary == boundary) & (share.nu_max == 32)].value.item()
        assert energy[:33].sum() / energy.sum() == pytest.approx(told, rel=1e-6)


def test_the_number_of_images_is_the_data_set():
    count = {name: int(records.load("label_spectra", dataset=name).rows.n.max()) for name in REAL}
    assert count["voc2012"] == 1449 and count["camvid"] == 316 and 70 <= count["dubai"] <= 72


def test_probe_gives_the_same_numbers_on_this_machine():
    probe = records.load("label_spectra", dataset="dubai").probe()
    assert probe["label"].shape == (65, 65) and len(np.unique(probe["label"])) > 1
    found = ls.analyse(probe["label"], int(probe["classes"]), limits=[int(nu) for nu in probe["limits"]])
    for key, value in found.items():
        assert np.allclose(value, probe[key], rtol=1e-9, atol=1e-12), key


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_three_images_give_their_rows_again(name):
    if not config.has_data_root():
        pytest.skip("SPECSEG_DATA names no folder")
    rows = records.load("label_spectra", dataset=name).rows
    rows = rows[rows.metric.str.startswith("image_")]
    assert rows.name.nunique() == 3
    sources = []
    for split in rows.split.iloc[0].split("+"):
        try:
            sources.append(datasets.open(name, split, partial=True, need="label"))
        except FileNotFoundError as err:
            pytest.skip(f"{name} is not in the data folder: {err}")
    for image, told in rows.groupby("name"):
        source = next(s for s in sources if image in s.ids)
        label = transforms.frame_label(source.label(source.ids.index(image)), 513)
        found = ls.analyse(label, source.num_classes)
        for row in told.itertuples():
            b, k = sp.BOUNDARIES.index(row.boundary), ls.LIMITS.index(row.nu_max)
            rims = found["rims"][b]
            ours = {"image_energy_share": rims[: int(row.nu_max) + 1].sum() / rims.sum(),
                    "image_pixel_error": float(ls.pixel_error(found["confusion"][b, k]))}[row.metric]  # fmt: skip
            assert ours == pytest.approx(row.value, rel=1e-6, abs=2e-5), (image, row)


@pytest.fixture(scope="module")
def experiment():
    return loaded(config.root() / "experiments" / "label_spectra.py")


@pytest.mark.parametrize("name", REAL)
def test_the_experiment_says_how_to_get_missing_data(experiment, monkeypatch, tmp_path, name):
    monkeypatch.setenv("SPECSEG_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"specseg data fetch {name}"):
        experiment.main(["--dataset", name, "--profile", "smoke"])


def test_the_experiment_goes_on_where_it_stopped(experiment, tmp_path):
    source = datasets.open("synthetic", "val", regime="objects", size=129, count=2)
    items, counted = [(name, source, k) for k, name in enumerate(source.ids)], []
    first = experiment.chunk(tmp_path / "c.npz", items, 129, "crop", "masked", counted.append)
    stamp = (tmp_path / "c.npz").stat().st_mtime_ns
    again = experiment.chunk(tmp_path / "c.npz", items, 129, "crop", "masked", counted.append)
    assert counted == [1, 1, 2] and (tmp_path / "c.npz").stat().st_mtime_ns == stamp
    assert all(np.array_equal(first[k], again[k]) for k in first)
    other = experiment.chunk(tmp_path / "c.npz", items[:1], 129, "crop", "masked", counted.append)  # another list
    assert list(other["names"]) == [source.ids[0]] and other["rims"].shape == (1, 2, 65)


def test_groups_of_the_bootstrap(experiment):
    assert experiment.groups("dubai", ["image_part_001t1", "image_part_002t1", "image_part_001t2"]) == ["1", "1", "2"]
    frames = [f"0001TP_{k:06d}" for k in range(12)]
    assert experiment.groups("camvid", frames) == ["0001TP-0"] * 10 + ["0001TP-1"] * 2
    assert experiment.groups("voc2012", ["a", "b"]) == ["a", "b"]
