"""The walk over label maps: chunks that a stopped run goes on from, sums that add up, the bootstrap of a stream."""

from dataclasses import dataclass

import numpy as np
import pytest

from specseg.data import survey
from specseg.evidence import statistics


@dataclass(frozen=True)
class Map:
    """One map of a walk."""

    name: str
    key: tuple


def run_stream(items, out, seen, **options):
    def work(context, item):
        seen.append(item.name)
        if item.name == context:
            raise KeyboardInterrupt
        return {"x": np.array([len(item.name)])}

    options = {"keep_going": False, **options}
    return [names for _, names, _ in survey.run(items, out, work, options.pop("context", None), **options)]


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    items, seen = [Map(f"m{k:02d}", (1,)) for k in range(40)], []
    with pytest.raises(KeyboardInterrupt):
        run_stream(items, tmp_path / "w", seen, context=items[20].name)
    assert len(seen) == 21 and len(list((tmp_path / "w").glob("*.npz"))) == 1  # one whole chunk of sixteen
    seen.clear()
    names = run_stream(items, tmp_path / "w", seen)
    assert seen == [i.name for i in items[16:]] and sum(names, []) == [i.name for i in items]
    seen.clear()
    run_stream(items, tmp_path / "w", seen)
    assert seen == []
    (tmp_path / "w/00001.npz").write_bytes(b"PK\x03\x04 cut")  # a damaged chunk is measured again
    run_stream(items, tmp_path / "w", seen)
    assert seen == [i.name for i in items[16:32]]
    seen.clear()
    items[0] = Map("m00", (2,))  # and so is one whose file changed
    run_stream(items, tmp_path / "w", seen)
    assert seen == [i.name for i in items[:16]]


def test_a_bad_map_ends_the_walk_or_is_listed(tmp_path):
    def work(context, item):
        if item.name == "m3":
            raise survey.BadFile("m3.png: damaged")
        return None if item.name == "m4" else {"x": np.array([1])}

    items = [Map(f"m{k}", ()) for k in range(6)]
    with pytest.raises(survey.BadFile, match="m3.png: damaged"):
        list(survey.run(items, tmp_path / "w", work, None))
    ((numbers, names, bad),) = survey.run(items, tmp_path / "w", work, None, keep_going=True)
    assert names == ["m0", "m1", "m2", "m5"] and len(numbers["x"]) == 4
    assert bad == [{"file": "m3", "reason": "m3.png: damaged"}]


def test_the_key_of_scratch_changes_with_settings_and_code(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("x = 1\n")
    first = survey.scratch_key({"size": 65}, [code])
    assert first == survey.scratch_key({"size": 65}, [code]) != survey.scratch_key({"size": 129}, [code])
    code.write_text("x = 2\n")
    assert survey.scratch_key({"size": 65}, [code]) != first


def test_sums_of_a_stream_are_the_sums_of_all():
    rng, sums = np.random.default_rng(0), survey.Sums(50, 3, ("x",))
    values, names = rng.integers(0, 9, (40, 2, 3)), [f"m{k % 13}" for k in range(40)]
    for k in range(0, 40, 7):
        sums.add({"x": values[k : k + 7], "y": values[k : k + 7, 0]}, names[k : k + 7])
    times = np.stack([survey.weights(n, 50, 3) for n in names], axis=1)
    assert np.allclose(sums.drawn["x"], np.tensordot(times, values, 1)) and sums.count == 40
    assert np.array_equal(sums.plain["y"], values[:, 0].sum(0)) and "y" not in sums.drawn
    assert np.array_equal(sums.drawn["x"][0], sums.plain["x"]) and len(sums.groups) == 13
    assert np.array_equal(sums.maps, times.sum(1))


def of(values):
    """Value, interval and standard error of a number and its draws."""
    return {**statistics.estimate(values[0], values[1:]), "se": values[1:].std(ddof=1)}


def test_the_stream_s_bootstrap_has_the_spread_of_the_usual_one():
    rng = np.random.default_rng(1)
    hit, all_ = rng.uniform(5, 15, 60), rng.uniform(15, 25, 60)
    sums = survey.Sums(2000, 0, ("v",))
    sums.add({"v": np.stack([hit, all_], 1)}, [f"map {k}" for k in range(60)])
    own = of(sums.drawn["v"][:, 0] / sums.drawn["v"][:, 1])
    times = statistics.resampled(range(60), 2000, 0)
    usual = of((times @ hit) / (times @ all_))
    assert own["value"] == pytest.approx(usual["value"])
    for key in ("se", "low", "high"):
        assert own[key] == pytest.approx(usual[key], rel=0.1), key


def test_weights_depend_on_name_and_seed_alone():
    assert np.array_equal(survey.weights("a", 9, 1), survey.weights("a", 9, 1))
    assert not np.array_equal(survey.weights("a", 99, 1), survey.weights("b", 99, 1))
    assert not np.array_equal(survey.weights("a", 99, 1), survey.weights("a", 99, 2))
