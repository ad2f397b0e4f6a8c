"""Renewal of stale records: code that gives the same makes a record current, code that does not is refused by name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specseg.evidence import config, records, renewal
from specseg.evidence.records import RecordError

# The toy measures the squares of a seed's numbers; a record keeps them when its "weights" are at hand.
ENGINE = '''
"""Squares."""


def measure(seed):
    return [float(k * k + seed) for k in range(4)]
'''
SCRIPT = '''
"""A toy experiment."""
from pathlib import Path

from specseg import engine; from specseg.evidence import renewal


def recompute(record):
    """Yield the check of the probe."""
    seed = record.meta["settings"]["seed"]
    if not (Path(__file__).parent / f"weights{seed}").exists():
        raise renewal.Unable(f"no weights of seed {seed}")
    worst = renewal.deviation(engine.measure(seed), record.probe()["values"])
    yield renewal.Check("the squares", worst, renewal.ROUNDING)
'''


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "lib" / "specseg").mkdir(parents=True)
    (tmp_path / "lib" / "specseg" / "__init__.py").write_text("")
    (tmp_path / "lib" / "specseg" / "engine.py").write_text(ENGINE)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "toy.py").write_text(SCRIPT)
    (tmp_path / "experiments" / "weights0").write_text("")
    (tmp_path / "profiles.toml").write_text("[smoke]\nsize = 1\n")
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    monkeypatch.setattr(config, "_INPUTS", {})
    monkeypatch.setattr(records, "_SHOWN", {})
    return tmp_path


def measure(project: Path, seed: int, model: str = "small", **changes) -> Path:
    values = np.array([float(k * k + seed) for k in range(4)])
    return records.write(
        "toy", pd.DataFrame({"k": range(4), "value": values}), command="x", profile="smoke",
        script=project / "experiments" / "toy.py", probe={"values": values},
        settings={"seed": seed, "model": model} | changes,
    )  # fmt: skip


@pytest.fixture
def edit(project, monkeypatch):
    """A function that edits the toy's module, in the file and in this process."""
    from specseg import engine as loaded

    def change(old: str, new: str) -> None:
        file = project / "lib" / "specseg" / "engine.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        exec(compile(file.read_text(), str(file), "exec"), loaded.__dict__)

    return change


@pytest.fixture(autouse=True)
def engine(project, monkeypatch):
    """Let `from specseg import engine` find the toy's module."""
    import sys
    import types

    import specseg

    module = types.ModuleType("specseg.engine")
    exec(ENGINE, module.__dict__)
    monkeypatch.setitem(sys.modules, "specseg.engine", module)
    monkeypatch.setattr(specseg, "engine", module, raising=False)


def states(**options) -> dict[str, str]:
    return {o.record.run_id: o.state for o in renewal.renew(**options)}


def lines(path: Path) -> list[dict]:
    file = path / records.RENEWED
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_code_that_gives_the_same_renews_a_record_once(project, edit):
    path = measure(project, 0)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    assert states() == {}, "a fresh record needs nothing"
    edit("k * k + seed", "k**2 + seed")
    assert records.read(path).freshness() == "stale: specseg.engine changed since"
    assert states(dry_run=True) == {path.name: "renewed"} and lines(path) == []
    assert states() == {path.name: "renewed"}
    record = records.read(path)
    assert record.freshness() == "fresh" and states() == {} and len(lines(path)) == 1
    (line,) = lines(path)
    assert set(records.RENEWAL) <= set(line) and line["worst"] == 0.0 and line["how"] == "the squares"
    assert line["machine"]["processor"] and set(line["modules"]) == {"script", "specseg.engine"}
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.name != records.RENEWED} == before
    edit("k**2 + seed", "k * k + seed")
    assert records.read(path).freshness() == "fresh", "the code of the recording is still good"
    edit("k * k + seed", "seed + k**2")
    assert records.read(path).freshness() == "stale: specseg.engine changed since"
    assert states() == {path.name: "renewed"} and len(lines(path)) == 2


def test_code_that_gives_other_numbers_is_refused_and_named(project, edit):
    path = measure(project, 0)
    edit("k * k + seed", "k * k + seed + 0.001")
    ((record, state, why),) = renewal.renew()
    assert (record.run_id, state) == (path.name, "refused") and "the squares: off by 0.00011, allowed 1e-06" in why
    assert lines(path) == [] and records.read(path).freshness().startswith("stale: specseg.engine")


def test_code_that_breaks_is_refused_and_named(project, edit):
    measure(project, 0)
    edit("def measure(seed)", "def measure(seed, more)")
    ((_, state, why),) = renewal.renew()
    assert state == "refused" and "TypeError: measure() missing 1 required positional argument: 'more'" in why


def test_every_record_of_a_script_that_does_not_load_is_told_why(project):
    paths = [measure(project, seed) for seed in (0, 1)]
    script = project / "experiments" / "toy.py"
    script.write_text(script.read_text() + "\n\nraise KeyError('gone')\n")
    found = list(renewal.renew())
    assert {(o.record.run_id, o.state) for o in found} == {(p.name, "refused") for p in paths}
    assert all("ended with KeyError: 'gone'" in o.why for o in found)


def test_a_moved_module_leaves_a_record_current(project):
    path = measure(project, 0)
    package, script = project / "lib" / "specseg", project / "experiments" / "toy.py"
    (package / "room").mkdir()
    (package / "room" / "__init__.py").write_text('"""A room."""\n')
    (package / "engine.py").rename(package / "room" / "motor.py")
    text = script.read_text()
    assert "from specseg import engine; from specseg.evidence import renewal\n" in text
    script.write_text(
        text.replace("import engine, renewal", "import renewal\nfrom specseg.room import motor as engine")
    )
    assert records.read(path).freshness() == "fresh" and states() == {}
    motor = package / "room" / "motor.py"
    motor.write_text(motor.read_text().replace("k * k", "k**2"))
    assert records.read(path).freshness() == "stale: specseg.engine (gone) changed since"


def test_another_name_in_the_code_asks_for_a_renewal(project, monkeypatch):
    import sys

    path = measure(project, 0)
    (project / "lib" / "specseg" / "engine.py").rename(project / "lib" / "specseg" / "motor.py")
    script = project / "experiments" / "toy.py"
    script.write_text(script.read_text().replace("engine", "motor"))
    monkeypatch.setattr(sys.modules["specseg"], "motor", sys.modules["specseg.engine"], raising=False)
    assert records.read(path).freshness() == "stale: script changed since"
    assert states() == {path.name: "renewed"} and records.read(path).freshness() == "fresh"
    assert set(lines(path)[0]["modules"]) == {"script", "specseg.motor"}


def test_a_sister_of_the_same_code_renews_what_cannot_be_computed_here(project, edit):
    able, left, other = measure(project, 0), measure(project, 1), measure(project, 2, "large")
    edit("k * k + seed", "k**2 + seed")
    newer = measure(project, 3)  # of today's code: no sister of the older ones
    found = {o.record.run_id: o for o in renewal.renew()}
    assert {k: o.state for k, o in found.items()} == {
        able.name: "renewed", left.name: "renewed", other.name: "stale"
    }  # fmt: skip
    assert f"by run {able.name}" in found[left.name].why and lines(left)[0]["by"] == able.name
    assert "no weights of seed 2" in found[other.name].why, "another architecture is no sister"
    assert records.read(newer).freshness() == "fresh" and lines(newer) == []
    assert states() == {other.name: "stale"}


def test_a_sister_of_other_code_does_not_count(project, edit):
    old = measure(project, 1)
    edit("k * k + seed", "k**2 + seed")
    able = measure(project, 0)
    edit("k**2 + seed", "seed + k * k")
    assert states() == {able.name: "renewed", old.name: "stale"}


def test_a_refused_record_is_no_sister(project, edit):
    measure(project, 0)
    measure(project, 1)
    edit("k * k + seed", "k * k + 2 * seed + 1")
    assert sorted(states().values()) == ["refused", "stale"]


def test_a_record_whose_code_changed_during_its_run_has_no_sister(project, edit):
    able, left = measure(project, 0), measure(project, 1)
    for path in (able, left):
        meta = json.loads((path / "record.json").read_text())
        meta["modules"]["specseg.engine"] = "changed during the run"
        (path / "record.json").write_text(json.dumps(meta))
    assert states() == {able.name: "renewed", left.name: "stale"}


def test_an_experiment_that_compares_nothing_renews_nothing(project, edit):
    measure(project, 0)
    script = project / "experiments" / "toy.py"
    script.write_text("from specseg import engine\n\n\ndef recompute(record):\n    return []\n")
    assert list(states().values()) == ["refused"]
    script.write_text("from specseg import engine\n")
    ((_, state, why),) = renewal.renew()
    assert state == "stale" and "does not say how it is computed again" in why
    script.unlink()
    assert list(states().values()) == ["stale"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}\n", "line 1: field.* date, commit, .* missing; expected an object with date, commit, modules"),
        ('{"date"\n', r"line 1: not JSON \([^l]"),
        ("[]\n", "line 1: field.* date, .* missing; expected an object with date"),
        ("GOOD{\n", r"line 2: not JSON \([^l]"),
    ],
)
def test_broken_renewals_name_the_file_and_the_line(project, edit, text, complaint):
    path = measure(project, 0)
    edit("k * k + seed", "k**2 + seed")
    states()
    file = path / records.RENEWED
    file.write_text(text.replace("GOOD", file.read_text()))
    with pytest.raises(RecordError, match=f"{records.RENEWED}, {complaint}"):
        records.read(path)


def test_uncommitted_code_renews_nothing_unless_asked(project, edit):
    path = measure(project, 0)
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "all")):
        subprocess.run(["git", *name, *words], cwd=project, check=True, capture_output=True)
    edit("k * k + seed", "k**2 + seed")
    with pytest.raises(records.Uncommitted, match=r"lib/specseg/engine\.py"):
        states()
    assert lines(path) == [] and states(allow_dirty=True) == {path.name: "renewed"}
    assert lines(path)[0]["dirty"] is True


def test_an_unknown_experiment_is_said(project):
    measure(project, 0)
    with pytest.raises(ValueError, match="no records of 'tory': expected one of toy"):
        states(only=["tory"])


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6)


@given(numbers, st.floats(1e-8, 1e-2))
def test_the_deviation_is_relative_to_the_largest(values, step):
    values = np.array([*values, 1e6])
    moved = values + step * np.abs(values).max()
    assert renewal.deviation(values, values) == 0.0
    assert renewal.deviation(moved, values) == pytest.approx(step, rel=1e-3)
    assert renewal.deviation(values[:-1], values) == np.inf
    assert renewal.deviation(np.append(values, np.nan), np.append(values, 1.0)) == np.inf


def test_counts_turn_as_a_share_of_the_picture():
    old = np.array([[10, 20, 30]])
    assert renewal.turned(old + [[0, -3, 1]], old, 100) == 0.03
    assert renewal.turned(old[0], old, 100) == np.inf


ROWS = pd.DataFrame({"metric": ["miou", "miou", "iou"], "lrg_size": [9, 17, 9], "class": [None, None, "cat"],
                     "value": [0.5, 0.25, np.nan], "low": [0.4, 0.2, np.nan], "note": [None] * 3})  # fmt: skip


def test_rows_agree_in_another_order_and_are_told_apart(tmp_path):
    ROWS.to_csv(tmp_path / "rows.csv", index=False, float_format="%.10g")
    old = pd.read_csv(tmp_path / "rows.csv")
    assert renewal.rows_deviation(ROWS[::-1], old) == 0.0
    assert renewal.rows_deviation(ROWS.assign(low=[0.4, 0.3, np.nan]), old) == pytest.approx(0.5)
    for other in (
        ROWS[:2], pd.concat([ROWS, ROWS[:1]]), ROWS.assign(lrg_size=[9, 17, 17]), ROWS.assign(more=1),
        ROWS.drop(columns="low"), ROWS.assign(value=[0.5, np.nan, np.nan]), ROWS.assign(**{"class": "cat"}),
    ):  # fmt: skip
        assert renewal.rows_deviation(other, old) == np.inf


def test_other_first_pictures_are_said():
    renewal.same_pictures(["a", "b"], np.array(["a", "b", "c"]))
    with pytest.raises(renewal.Unable, match="begin with other pictures"):
        renewal.same_pictures(["b"], ["a", "b"])
