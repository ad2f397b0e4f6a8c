"""The sweep's parts: ids that last, folders that say what is true, options, estimates, what a file may cost."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import Timeout
from hypothesis import given
from hypothesis import strategies as st

from specseg.evidence import config, provenance
from specseg.sweep import Experiment, cell_id, command, slurm
from specseg.sweep.folder import CellFolder, State
from specseg.sweep.launchers import Launcher

values = st.one_of(st.integers(-99, 99), st.booleans(), st.text(max_size=9), st.none(), st.floats(-9, 9))
names = st.from_regex(r"[a-d]{1,3}", fullmatch=True)


def frozen(name: str, given_: dict, defaults: dict):
    """A frozen dataclass with these fields, those of `defaults` last, and an instance of it."""
    made = [(k, object) for k in given_] + [(k, object, field(default=v)) for k, v in defaults.items()]
    return make_dataclass(name, made, frozen=True)(**given_)


# --- ids -----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(names, values, min_size=1), st.dictionaries(names, values))
def test_a_new_field_with_a_default_keeps_the_id(old, new):
    new = {k: v for k, v in new.items() if k not in old}
    assert cell_id(frozen("Cell", old, {})) == cell_id(frozen("Cell", old, new))


@given(st.dictionaries(names, values, min_size=1), names, values, values)
def test_another_value_gives_another_id_and_the_same_value_the_same(fields, name, one, two):
    def of(value):
        return cell_id(frozen("Cell", {**fields, name: value}, {}))

    same = one == two and isinstance(one, bool) == isinstance(two, bool)  # 1 and 1.0 are one number, 1 and True are not
    assert (of(one) == of(two)) == same
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,60}-[0-9a-f]{8}", of(one)), "fit for every file system"


@given(st.permutations(["alpha", "beta", "gamma"]))
def test_the_order_of_fields_moves_words_but_not_the_hash(order):
    ids = {cell_id(frozen("Cell", {k: len(k) for k in order}, {})).rpartition("-")[2]}
    assert ids == {cell_id(frozen("Cell", {"alpha": 5, "beta": 4, "gamma": 5}, {})).rpartition("-")[2]}


@dataclass(frozen=True)
class Train:
    dataset: str
    seed: int = 0
    sizes: tuple[int, ...] = ()
    tags: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Prune:
    parent: Train
    rate: float
    masked: bool = False


def test_ids_are_these_for_ever():
    """The sha256 of `{"class": "Train", "dataset": "voc2012"}` and its like; a change would orphan every folder."""
    assert cell_id(Train("voc2012")) == "voc2012-d62380d0"
    assert cell_id(Train("CamVid streets", 3, (65, 33))) == "camvid_streets-seed3-sizes65_33-c4b9f80d"
    assert cell_id(Prune(Train("dubai", seed=1), 0.6, masked=True)) == "dubai-seed1-rate0.6-masked-64238b26"


def test_ids_see_into_nested_cells_and_tell_classes_apart():
    assert cell_id(Prune(Train("dubai"), 0.6)) != cell_id(Prune(Train("dubai", seed=1), 0.6))
    assert cell_id(Prune(Train("dubai", seed=0), 0.6)) == cell_id(Prune(Train("dubai"), 0.6, False))
    assert cell_id(frozen("Evaluate", {"dataset": "dubai"}, {})) != cell_id(frozen("Train", {"dataset": "dubai"}, {}))
    assert cell_id(Train("a", np.int64(2))) == cell_id(Train("a", 2)) == cell_id(Train("a", 2.0))


def test_what_is_no_cell_is_said_with_its_field():
    with pytest.raises(TypeError, match="frozen dataclass"):
        cell_id({"seed": 1})
    with pytest.raises(TypeError, match="frozen dataclass"):
        cell_id(dataclasses.make_dataclass("Loose", ["a"])(1))
    with pytest.raises(TypeError, match=r"Train\.seed: .*Path"):
        cell_id(Train("a", Path("x")))
    with pytest.raises(TypeError, match=r"Train\.tags\['x'\]: nan"):
        cell_id(Train("a", tags={"x": float("nan")}))


def experiment(cells) -> Experiment:
    frame = pd.DataFrame({"value": [1.0]})
    return Experiment("toy", lambda profile: cells, lambda *_: frame, lambda *_: None, lambda cell, profile: 90.0)


def test_an_experiment_checks_its_cells():
    assert list(experiment([Train("b"), Train("a")]).by_id("smoke").values()) == [Train("b"), Train("a")]
    with pytest.raises(ValueError, match="two cells are the same, Train"):
        experiment([Train("a"), Train("a", 0.0)]).by_id("smoke")
    with pytest.raises(ValueError, match="lower-case"):
        Experiment("Two words", None, None, None, None)


# --- a cell's folder -----------------------------------------------------------------------------------------------


@pytest.fixture
def cell(tmp_path) -> CellFolder:
    (tmp_path / "c-12345678").mkdir()
    return CellFolder(tmp_path / "c-12345678")


def finish(cell: CellFolder, **changes) -> None:
    text = "value\n1\n"
    cell.write("rows.csv", text)
    done = {"cell_id": cell.id, "rows_sha256": config.sha256(cell.rows), "n_rows": 1, "wall_s": 2.0}
    cell.write("done.json", {**done, "modules": {}, "record": None, **changes})


def test_the_states_of_a_folder(cell):
    assert cell.state().name == "waiting"
    cell.write("cell.json", {})
    assert cell.state().name == "interrupted"
    with cell.claim():
        assert cell.state().name == "running" and "process" in cell.state().why and cell.held()
    assert not cell.held()
    cell.write("error.txt", "Traceback\nValueError: no\n\n")
    assert cell.state() == State("failed", "ValueError: no")
    finish(cell)
    assert cell.state().name == "done" and cell.state().done["n_rows"] == 1


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda c: (c.path / "done.json").write_text('{"cell_id": '), r"done\.json: not JSON"),
        (lambda c: (c.path / "done.json").write_bytes(b"\xff\x00"), r"done\.json: not JSON"),
        (
            lambda c: (c.path / "done.json").rename(c.path / "old") and (c.path / "done.json").mkdir(),
            r"Is a directory: .*done\.json",
        ),
        (lambda c: (c.path / "done.json").write_text("[]"), r"done\.json: field\(s\) cell_id"),
        (lambda c: finish(c, cell_id="other"), r"done\.json: cell_id is 'other', expected the folder's name"),
        (lambda c: (c.path / "rows.csv").write_text("value\n2\n"), r"rows\.csv: its sha256 is not rows_sha256"),
        (lambda c: (c.path / "rows.csv").unlink(), r"No such file .*rows\.csv"),
    ],
)
def test_a_damaged_folder_names_its_file(cell, harm, words):
    finish(cell)
    harm(cell)
    assert cell.state().name == "damaged" and re.search(words, cell.state().why)


def test_only_one_holds_a_cell_and_is_named(cell):
    with cell.claim():
        with pytest.raises(Timeout), CellFolder(cell.path).claim(0.1):
            raise AssertionError("claimed twice")
        assert re.match(r"process \d+ on .* since 20", cell.holder())
    with cell.claim(0.0):
        pass


FORKS = """
import os, sys
from pathlib import Path
from specseg.sweep.folder import CellFolder
with CellFolder(Path(sys.argv[1])).claim():
    if os.fork():
        os.kill(os.getpid(), 9)
    print("forked", flush=True)
    os.read(0, 1)
"""


def test_what_a_dead_holder_has_forked_does_not_keep_its_claim(cell):
    """The workers of a data loader outlive a killed cell for a while."""
    command = [sys.executable, "-c", FORKS, str(cell.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "forked\n" and holder.wait(60) == -signal.SIGKILL
        assert not cell.held()


def test_a_file_appears_whole_or_not_at_all(cell, monkeypatch):
    cell.write("a.json", {"x": 1})
    with pytest.raises(TypeError):
        cell.write("a.json", {"x": object()})
    with pytest.raises(UnicodeEncodeError):
        cell.write("a.json", "half\ud800")
    assert cell.read("a.json") == {"x": 1} and [p.name for p in cell.path.iterdir()] == ["a.json"]
    (cell.path / ".left.123.part").touch()
    with cell.claim():
        assert not list(cell.path.glob(".*")), "what a killed process left half-written is taken away"


def test_what_is_put_aside_is_kept(cell):
    finish(cell)
    (cell.path / "lock").touch()
    first = cell.put_aside("rows.csv", "absent.txt")
    assert [p.name for p in first.iterdir()] == ["rows.csv"] and (cell.path / "done.json").exists()
    second = cell.put_aside()
    assert (first.name, second.name) == ("1", "2")
    assert [p.name for p in second.iterdir()] == ["done.json"] and (cell.path / "lock").exists()
    first.rename(cell.path / "kept")
    assert cell.put_aside().name == "3", "also where an older one was taken away"


def test_last_words_come_from_tell_not_from_the_program(cell):
    cell.tell("step 1/2", wall_s=3.0)
    with cell.log.open("a") as file:
        file.write("a library's warning\n\n")
    cell.tell("failed: why\nTraceback")
    assert cell.read("clock.json") == {"told": "failed: why", "wall_s": 3.0} and "Traceback" in cell.log.read_text()


# --- options, choice, estimates ------------------------------------------------------------------------------------


def parsed(*words: str):
    return command.parser("run", "run").parse_intermixed_args(list(words))


@pytest.mark.parametrize("words", [["toy", "--profile", "paper"], ["--profile", "paper", "toy"]])
def test_the_name_may_stand_anywhere(words):
    assert (parsed(*words).name, parsed(*words).profile) == ("toy", "paper")


@pytest.mark.parametrize("words", [["--jobs", "0"], ["--limit", "x"], ["--launcher", "pbs"], ["--device", "tpu"]])
def test_bad_options_are_refused_with_what_is_expected(words, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(*words)
    assert stop.value.code == 2 and re.search(r"expected a whole number|choose from", capsys.readouterr().err)


def test_the_cells_to_do():
    states = {k: State(n, w) for k, n, w in [
        ("a", "done", ""), ("b", "done", "code changed"), ("c", "failed", "x"), ("d", "waiting", ""),
        ("e", "interrupted", ""), ("f", "damaged", ""), ("g", "running", ""),
    ]}  # fmt: skip

    def left(**options: bool) -> str:
        sweep = command.Sweep(experiment([]), "smoke", Path("runs"), **options)
        return "".join(key for key, state in states.items() if sweep.left(state))

    assert left() == "defg" and left(retry_failed=True) == "cdefg" and left(redo_stale=True) == "bdefg"
    assert left(retry_failed=True, redo_stale=True) == "bcdefg"


def announced(*words: str) -> str:
    sweep = command.Sweep(experiment([Train("a"), Train("b"), Train("c"), Train("d")]), "smoke", Path("runs"))
    states = dict.fromkeys(sweep.experiment.by_id("smoke"), State("waiting"))
    given_ = parsed(*words)
    if given_.gpus_per_cell:
        given_.device = "cuda"
    return command.announcement(sweep, states, states, given_)[0]


def test_the_estimate_comes_first():
    """Four cells of 90 minutes: 6 h; on two GPUs each, 12 GPU hours; four cores each, 24 CPU hours."""
    text = announced("--launcher", "slurm", "--gpus-per-cell", "2", "--max-parallel", "3")
    assert "4 cells, 0 done, 4 to do; estimated 12.00 GPU hours (about 2.0 h, 3 at a time)" in text
    text = announced("--launcher", "slurm", "--cpus-per-cell", "4")
    assert "estimated 24.00 CPU hours (about 1.5 h, 4 at a time)" in text
    assert "estimated 6.00 GPU hours (about 6.0 h, 1 at a time)" in announced("--device", "cuda")


def test_what_a_job_asks_for():
    sweep = command.Sweep(experiment([Train("a")]), "smoke", Path("runs"))
    asked = slurm.parameters(parsed("--sbatch", "account=vision", "--sbatch=--qos=low"), sweep, sweep.cells)
    assert asked["slurm_additional_parameters"] == {"requeue": True, "account": "vision", "qos": "low"}
    assert asked["timeout_min"] == 270, "three times the estimate"
    assert slurm.parameters(parsed("--time", "30"), sweep, sweep.cells)["timeout_min"] == 30
    with pytest.raises(ValueError, match="expected KEY=VALUE"):
        slurm.parameters(parsed("--sbatch", "account"), sweep, sweep.cells)


def test_a_job_has_ended_when_its_cell_has_since_it_was_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "alive", lambda: {"1": "running"})
    sweep = command.Sweep(experiment([Train("a")]), "smoke", tmp_path)
    ((key, cell),) = ((key, sweep.of(key)) for key in sweep.cells)
    cell.path.mkdir(parents=True)
    todo = {key: sweep.state(key)}
    finish(cell)  # by a job of an earlier launch, before this one looks again
    queue = slurm.Queue(sweep, todo, parsed())
    queue.jobs[key] = "1"
    with cell.claim():
        queue.look()
    assert queue.left == [key], "whoever holds it may be putting it aside"
    queue.look()
    assert queue.ended[key].name == "done"


def test_the_sweep_itself_changes_no_number():
    """A record does not become stale when only the sweep has changed."""
    assert provenance.plumbing("specseg.sweep") and provenance.plumbing("specseg.sweep.slurm")
    assert not provenance.plumbing("specseg.sweeping") and not provenance.plumbing("specseg.spectral.iou")


class Idle(Launcher):
    def look(self) -> None: ...


def test_a_launcher_tells_of_cells_at_work_and_how_they_end(tmp_path, capsys):
    launcher = Idle(command.Sweep(experiment([]), "smoke", tmp_path), ["a-1", "b-2"])
    for words in ("started", "step [1/2] [/bold]", ""):
        launcher.tell("a-1", words)
    for _ in range(2):
        launcher.tell("held by others", "b-2")
    launcher.end("a-1", State("done", done={"wall_s": 75.0}))
    launcher.end("b-2", State("failed", "ValueError: [red]"))
    said = capsys.readouterr().out
    assert "1/2 done a-1 in 1 min 15 s" in said and not launcher.left
    assert f"2/2 failed b-2: ValueError: [red]; log: {launcher.sweep.of('b-2').log}" in said
    assert "a-1: started" in said and said.count("held by others: b-2") == 1 and "step" not in said, "quiet"


def test_a_status_table_with_odd_words(tmp_path):
    sweep = command.Sweep(dataclasses.replace(experiment([Train("[red]a")]), file=Path(__file__)), "smoke", tmp_path)
    (key,) = sweep.experiment.by_id("smoke")
    sweep.of(key).path.mkdir(parents=True)
    sweep.of(key).write("cell.json", {})
    sweep.of(key).tell("step [1/2] [/bold] loss", wall_s=90.0)
    row = {"cell": key, "state": "interrupted", "minutes": "1.5", "last words": "step [1/2] [/bold] loss", "record": ""}
    assert command.status_table(sweep, [key]).to_dict("records") == [row]
