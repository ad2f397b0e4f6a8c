"""Records: whole or absent, never changed, verified when read, stale when their code has moved on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toybook

from specseg.evidence import config, records
from specseg.evidence.records import RecordError

ROWS = pd.DataFrame({"metric": ["miou", "miou"], "seed": [0, 1], "value": [0.25, 1 / 3]})


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    lib = tmp_path / "lib" / "specseg"
    lib.mkdir(parents=True)
    (lib / "__init__.py").write_text("")
    (lib / "engine.py").write_text("def measure():\n    return 1\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "run.py").write_text("from specseg import engine\n")
    (tmp_path / "profiles.toml").write_text("[smoke]\nsize = 1\n[standard]\nsize = 2\n")
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    monkeypatch.setattr(config, "_INPUTS", {})
    monkeypatch.setattr(records, "_SHOWN", {})
    return tmp_path


def write(project: Path, **changes) -> Path:
    given = {
        "command": "python experiments/run.py", "profile": "smoke", "script": project / "experiments" / "run.py",
        "settings": {"model": "tiny"}, "data": ["b", "a"], "seed": 3, "wall_s": 1.23456, "notes": "none",
    }  # fmt: skip
    experiment = changes.pop("experiment", "run")
    rows = changes.pop("rows", ROWS)
    return records.write(experiment, rows, **{**given, **changes})


def test_what_is_written_is_read_back(project):
    path = write(project, probe={"x": np.arange(3)})
    assert sorted(p.name for p in path.iterdir()) == ["probe.npz", "record.json", "rows.csv"]
    record = records.load("run")
    assert record.path == path and re.fullmatch(r"\d{8}-[0-9a-f]{8}", record.run_id) and record.profile == "smoke"
    pd.testing.assert_frame_equal(record.rows, ROWS, rtol=1e-9)
    assert record.probe()["x"].tolist() == [0, 1, 2]
    meta = record.meta
    assert (meta["data"], meta["seed"], meta["wall_s"], meta["n_rows"]) == (["a", "b"], 3, 1.235, 2)
    assert meta["script"] == "experiments/run.py" and set(meta["modules"]) == {"script", "specseg.engine"}
    assert meta["columns"] == ["metric", "seed", "value"] and meta["versions"]["numpy"] == np.__version__
    assert os.stat(path).st_mode & 0o777 == 0o755


def test_a_record_names_the_machine(project):
    machine = records.read(write(project)).meta["machine"]
    assert machine["processor"] and machine["cores"] == os.cpu_count() and isinstance(machine["instructions"], list)
    assert set(machine) == {"processor", "instructions", "cores", "kernels", "threads", "load"}
    old = write(project)
    meta = json.loads((old / "record.json").read_text())
    del meta["machine"]  # records of 2026-11-23 and before
    (old / "record.json").write_text(json.dumps(meta))
    assert "machine" not in records.read(old).meta


def git(project: Path, *words: str) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *words], cwd=project, check=True, capture_output=True)


@pytest.fixture
def checkout(project) -> Path:
    (project / "book").mkdir()
    (project / "book" / "index.md").write_text("hello")
    (project / "results" / "run").mkdir(parents=True)
    (project / "results" / "run" / "kept.txt").write_text("1")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "all")
    return project


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("lib/specseg/engine.py", True), ("experiments/run.py", True), ("profiles.toml", True),
        ("lib/specseg/new.py", True), ("experiments/new.py", True), ("experiments/note.txt", False),
        ("book/index.md", False), ("results/run/kept.txt", False), ("results/run/more.txt", False),
    ],
)  # fmt: skip
def test_uncommitted_code_makes_no_record_unless_asked(checkout, file, dirty):
    """What decides the numbers must be committed; the book and the results decide none."""
    with open(checkout / file, "a") as out:
        out.write("\n# more\n")
    if not dirty:
        assert records.read(write(checkout)).meta["dirty"] is False
        return
    with pytest.raises(records.Uncommitted, match=f"uncommitted: {file}.*--allow-dirty"):
        write(checkout)
    assert records.find("run") == []
    assert records.read(write(checkout, allow_dirty=True)).meta["dirty"] is True
    assert records.read(write(checkout, root=checkout / "_build")).meta["dirty"] is True, "a trial only says so"


def test_a_removed_module_is_uncommitted(checkout):
    (checkout / "lib" / "specseg" / "engine.py").unlink()
    with pytest.raises(records.Uncommitted, match=r"lib/specseg/engine\.py"):
        records.require_committed()
    records.require_committed(allow_dirty=True)


def test_a_record_without_probe_has_none(project):
    write(project)
    assert records.load("run").probe() == {}


def test_records_are_only_ever_added(project):
    first = write(project)
    kept = {p.name: p.read_bytes() for p in first.iterdir()}
    others = [write(project) for _ in range(5)]
    assert len({first, *others}) == 6, "the same rows again make a new record"
    assert {p.name: p.read_bytes() for p in first.iterdir()} == kept
    assert records.load("run").path == max(others, key=lambda p: (records.read(p).meta["created"], p.name))


@pytest.mark.parametrize("dies_at", ["json.dumps", "replace"])
def test_a_write_that_dies_leaves_nothing(project, monkeypatch, dies_at):
    def dies(*args, **kwargs):
        raise OSError("disk full")

    if dies_at == "replace":
        monkeypatch.setattr(records.os, "replace", dies)
    else:
        monkeypatch.setattr(np, "savez_compressed", dies)
    with pytest.raises(OSError, match="disk full"):
        write(project, probe={"x": np.zeros(1)})
    assert list((project / "results" / "run").iterdir()) == []
    assert records.find("run") == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"experiment": "My Run"}, "experiment 'My Run': expected lower-case letters"),
        ({"experiment": "../x"}, "experiment '../x': expected lower-case letters"),
        ({"rows": ROWS.iloc[:0]}, "no rows"),
        ({"profile": "smokey"}, "unknown profile 'smokey'"),
        ({"settings": {"x": np.int64(1)}}, "settings must be plain numbers"),
        ({"settings": {"x": float("nan")}}, "settings must be plain numbers"),
        ({"script": "nowhere.py"}, "which code made it"),
        ({"script": None}, "which code made it"),  # the running program is pytest, no file of the project
        ({"script": Path(os.__file__)}, "which code made it"),
    ],
)
def test_what_cannot_be_recorded_is_refused(project, changes, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        write(project, **changes)
    assert not (project / "results").exists()


def test_a_program_in_a_hidden_folder_is_no_script_of_the_project(project):
    hidden = project / ".venv" / "pytest.py"
    hidden.parent.mkdir()
    hidden.write_text("")
    with pytest.raises(ValueError, match="which code made it"):
        write(project, script=hidden)


def test_the_running_program_records_what_it_has_loaded(project, monkeypatch):
    """A module that no import statement of the experiment names still decides freshness."""
    import sys

    (project / "lib" / "specseg" / "plugin.py").write_text("x = 1\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(project / "experiments" / "run.py"), raising=False)
    monkeypatch.setitem(sys.modules, "specseg.plugin", sys)
    record = records.read(write(project, script=None))
    assert {"script", "specseg.engine", "specseg.plugin"} <= set(record.meta["modules"])
    assert not {"specseg", "specseg.evidence.config", "specseg.evidence.records"} & set(record.meta["modules"])
    (project / "lib" / "specseg" / "plugin.py").write_text("x = 2\n")
    assert "specseg.plugin" in record.freshness()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda p: (p / "rows.csv").write_text("metric,seed,value\nmiou,0,0.99\n"), "rows.csv: its sha256 is not"),
        (lambda p: (p / "rows.csv").unlink(), "rows.csv: missing"),
        (lambda p: (p / "record.json").unlink(), "record.json: missing"),
        (lambda p: (p / "record.json").write_text('{"experiment":\n'), r"record.json: not JSON \(line 2"),
        (
            lambda p: (p / "record.json").write_text("[]"),
            "record.json: field.* experiment, run_id, .* missing; expected an object with experiment",
        ),
        (lambda p: (p / "record.json").write_text("{}"), "record.json: field.* experiment, run_id"),
        (lambda p: p.rename(p.with_name("20200101-00000000")), "run_id is .*, expected the folder's name"),
    ],
)
def test_a_spoilt_record_is_refused(project, spoil, complaint):
    spoil(write(project))
    with pytest.raises(RecordError, match=complaint):
        records.load("run")


@pytest.mark.parametrize("field", records.REQUIRED)
def test_every_required_field_is_missed(project, field):
    path = write(project)
    meta = json.loads((path / "record.json").read_text())
    del meta[field]
    (path / "record.json").write_text(json.dumps(meta))
    with pytest.raises(RecordError, match=f"field.* {field} missing"):
        records.read(path)


def test_find_and_load_by_settings_and_fields(project):
    tiny = write(project)
    large = write(project, settings={"model": "large"}, profile="standard")
    assert [r.path for r in records.find("run", model="tiny")] == [tiny]
    assert [r.path for r in records.find("run", profile="standard")] == [large]
    assert records.find("run", model="tiny", profile="standard") == []
    assert records.find("nothing") == []
    assert records.load("run", model="large").path == large
    assert records.load("run", tiny.name).path == tiny
    with pytest.raises(RecordError, match="no record of 'run' with model='huge' in .*results"):
        records.load("run", model="huge")
    with pytest.raises(RecordError, match="no record of 'nothing'"):
        records.load("nothing")
    with pytest.raises(RecordError, match="missing"):
        records.load("run", "20200101-00000000")


def test_what_is_loaded_is_an_input_and_is_known_to_be_shown(project):
    write(project, settings={"model": "other"})
    path = write(project)
    record = records.load("run", model="tiny")
    home = path.relative_to(project).as_posix()
    assert {"results/run", f"{home}/record.json", f"{home}/rows.csv"} <= set(config.inputs())
    assert records.shown() == [record], "the candidates that were not taken are not shown"
    assert len(records.find("run")) == len(records.shown()) == 2


def test_freshness_names_what_changed(project):
    record = records.read(write(project))
    engine, script = project / "lib" / "specseg" / "engine.py", project / "experiments" / "run.py"
    assert record.freshness() == "fresh"
    engine.write_text('"""Words."""\n\n\ndef measure():\n    return 1  # one\n')
    assert record.freshness() == "fresh"
    engine.write_text("def measure():\n    return 2\n")
    assert record.freshness() == "stale: specseg.engine changed since"
    engine.unlink()
    assert record.freshness() == "stale: specseg.engine (gone) changed since"
    engine.write_text("def measure():\n    return 1\n")
    assert record.freshness() == "fresh"
    script.write_text("from specseg import engine\nx = 1\n")
    assert record.freshness() == "stale: script changed since"


def test_what_can_change_no_number_makes_nothing_stale(project):
    record = records.read(write(project))
    assert record.changed({"specseg.data.manifests.fetch": "other"}) == []
    assert record.changed({"specseg.engine": "other"}) == ["specseg.engine"]


def test_a_record_that_names_no_code_is_never_fresh(project):
    path = write(project)
    meta = json.loads((path / "record.json").read_text())
    (path / "record.json").write_text(json.dumps({**meta, "modules": {}}))
    assert records.read(path).freshness().startswith("stale")


def test_the_project_records_can_all_be_read(monkeypatch):
    monkeypatch.delenv("SPECSEG_ROOT", raising=False)
    home = records.home()
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if folder.is_dir() and folder.name not in ("accepted", "weights", "tiny"):
            assert records.find(folder.name), f"results/{folder.name}: no record in it"


def test_code_edited_while_an_experiment_runs_never_counts_as_fresh(tmp_path):
    """The hash of an edited file would stand for code that did not make the numbers."""
    folder = toybook.make(tmp_path / "toy")
    script = folder / "experiments" / "slow.py"
    script.parent.mkdir()
    script.write_text(
        "import os, time, pandas as pd\n"
        "from specseg.evidence import records, provenance\n"
        "from specseg.advise import recommend\n"
        "file = provenance.module_file('specseg.advise.recommend')\n"
        "if os.environ['EDIT'] == '1':\n"
        "    os.utime(file, (time.time() + 5, time.time() + 5))\n"
        "path = records.write('slow', pd.DataFrame({'value': [1.0]}), command='slow', profile='smoke')\n"
        "print(records.read(path).freshness())\n"
    )
    for edit, word in (("0", "fresh"), ("1", "stale")):
        _, env = toybook.command(folder)
        run = subprocess.run([sys.executable, str(script)], env=env | {"EDIT": edit}, capture_output=True, text=True)
        assert run.stdout.startswith(word), run.stdout + run.stderr


def test_every_record_that_was_ever_removed_is_named_with_a_reason():
    log = ["git", "log", "--diff-filter=D", "--name-only", "--format=", "--", "results/*/record.json"]
    run = subprocess.run(log, cwd=config.root(), capture_output=True, text=True)
    gone = {Path(line).parent.relative_to("results").as_posix() for line in run.stdout.split()}
    if run.returncode or len(gone) < 40:
        pytest.skip("NOT CHECKED: no whole history of the repository here")
    told = tomllib.loads((records.home() / "withdrawn.toml").read_text())["withdrawn"]
    assert gone - {name for entry in told for name in entry["records"]} == set()
    assert all(entry["reason"] and entry["date"] for entry in told)
