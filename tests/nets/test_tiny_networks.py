"""Committed weights: what their files hold, pages compute from them in float64, training again lands there."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import torch
from conftest import ROOT, loaded
from safetensors.torch import save_file

from specseg.measure.gradients import study
from specseg.nets import networks, protocol, tiny, weights
from specseg.study import gradients

SCRIPT = ROOT / "experiments" / "tiny_networks.py"
SPREAD = ROOT / "results" / "tiny" / "spread.json"
OBJECTS = protocol.networks("smoke", group="objects")[0]


@pytest.fixture(scope="module")
def script():
    return loaded(SCRIPT)


@pytest.fixture(scope="module")
def small(script):
    """A training of some steps: its states and the network that has one of them."""

    def train(seed=0, **more):
        chosen = script.DEFAULTS | {"size": 17, "scenes_seen": 4, "steps": 2, "probe_steps": (0,), "seed": seed} | more
        return script.toy(**{k: v for k, v in chosen.items() if k != "probes"})

    return train


def put(script, states, **more):
    return script.write("toy-landcover-2-s0", states, {"size": 17, "probes": 2}, **more)


def of(state):
    net = tiny.TinyNet(7).double()
    net.load_state_dict(state)
    return net


def test_a_toy_training_learns_the_same_for_one_seed_and_leaves_others_random_numbers(small):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    a, b, c = (small(seed, size=33, steps=60, scenes_seen=32, probe_steps=(0, 10)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected) and list(a) == [0, 10, 60]
    assert all(torch.equal(a[60][k], b[60][k]) for k in a[60])
    assert not torch.equal(a[60]["classify.weight"], c[60]["classify.weight"])
    images, labels = tiny.scenes("landcover", 8, 33, split="val", void=False)
    with torch.no_grad():
        assert of(a[60]).grid_logits(images.double()).shape[-2:] == (9, 9)
        losses = [float(torch.nn.functional.cross_entropy(of(a[s])(images.double()), labels)) for s in a]
    assert losses[-1] < 0.9 * losses[0]
    assert all(x.isfinite().all() for x in small(void=True)[2].values())
    with pytest.raises(ValueError, match="size 64: expected 4 k"):
        small(size=64)


def test_scenes_have_void_where_asked_and_splits_never_meet():
    assert [bool((tiny.scenes("objects", 3, 33, void=v)[1] == 255).any()) for v in (True, False)] == [True, False]
    train, val = (tiny.scenes("streets", 2, 33, split=s)[0] for s in ("train", "val"))
    assert not torch.equal(train, val)
    with pytest.raises(ValueError, match="split 'test'"):
        tiny.scenes("objects", 1, 33, split="test")


def test_what_is_written_is_what_is_loaded_but_for_half_precision(tmp_path, script, small):
    states = small()
    put(script, states, root=tmp_path)
    again = tiny.probed(steps=2, root=tmp_path)
    assert list(again.steps) == list(states) == [0, 2]
    assert {x.dtype for x in (*again.logits, again.images, *again.net.parameters())} == {torch.float64}
    for new, state in zip(again.logits, states.values(), strict=True):
        old = of(state)(again.images)
        assert (old - new).abs().max() < 2e-3 * old.abs().max()
        exact = of({k: v.half() if v.ndim > 1 else v for k, v in state.items()})
        assert torch.equal(exact(again.images), new), "kernels are rounded, biases are not"


def test_loading_moves_nobody_elses_random_numbers():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    tiny.probed("streets", steps=300)
    assert torch.equal(torch.rand(3), expected)


def test_a_file_that_is_there_stays(tmp_path, script, small):
    path = put(script, small(), root=tmp_path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="toy-landcover-2-s0.*--again"):
        put(script, small(seed=1), root=tmp_path)
    assert path.read_bytes() == before
    put(script, small(seed=1), root=tmp_path, again=True)
    assert path.read_bytes() != before and [p.name for p in path.parent.iterdir()] == [path.name]


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="toy-objects-7-s0.safetensors.*tiny_networks.py"):
        tiny.probed("objects", steps=7)
    path = tiny.path("other", tmp_path)
    path.parent.mkdir(parents=True)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="other.safetensors: weight: expected <step>/<tensor>"):
        tiny.read("other", tmp_path)
    with pytest.raises(KeyError, match="step 5 is not kept, expected one of 0, 4"):
        weights.load(OBJECTS, sources=("committed",), step=5)


def test_the_committed_files_are_those_of_the_list(script):
    """What the command would train is there, nothing else, and each file says how it was made."""
    known = script.trainings()
    assert sorted(known) == sorted(p.stem for p in SPREAD.parent.glob("*.safetensors"))
    for name, chosen in known.items():
        states, about = tiny.read(name)
        wanted = chosen if isinstance(chosen, dict) else chosen.describe()
        about = {"start": "", **about}  # a file from before a training could go on from another
        assert {k: about[k] for k in wanted} == json.loads(json.dumps(wanted)) and len(about["commit"]) == 40
        assert max(states) == wanted["steps"] and tiny.path(name).stat().st_size < 1_000_000
        kinds = {v.dtype for v in states[max(states)].values() if v.ndim > 1}
        assert kinds == {torch.float16}


def test_chapters_compute_from_committed_weights():
    """A training on a page would make its facts those of one processor."""
    for path in sorted((ROOT / "chapters").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "networks.ensure(" not in text, path.name


def test_the_command_leaves_what_is_there_and_names_what_it_does_not_know(script, monkeypatch, capsys):
    before = {p: p.stat().st_mtime_ns for p in SPREAD.parent.iterdir()}
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout == "", run.stdout + run.stderr
    assert {p: p.stat().st_mtime_ns for p in SPREAD.parent.iterdir()} == before
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--again", "cats"])
    with pytest.raises(SystemExit) as end:
        script.main()
    assert end.value.code == 2 and "'cats': expected one of toy-landcover-300-s0" in capsys.readouterr().err


def test_training_again_lands_within_the_measured_spread(script):
    """Three times the widest range of one land-cover training over settings: they are a sample of the processors."""
    spread = json.loads(SPREAD.read_text())
    name = "toy-landcover-200-s0"
    assert {r["setting"] for r in spread["rows"]} == set(script.SETTINGS)
    assert spread["range"] == script.ranges(spread["rows"])
    ranges = [r for n, r in spread["range"].items() if n.startswith("toy-landcover")]
    widest = {key: max(r[key] for r in ranges) for key in ("loss", "accuracy")}
    assert len(ranges) >= 5, "more than one seed"
    old, new = script.score(name), script.trained_again(name)
    assert all(abs(new[key] - old[key]) <= 3 * widest[key] for key in widest), (old, new, widest)
    other = script.score("toy-landcover-300-s0")
    assert all(abs(other[key] - old[key]) > 3 * widest[key] for key in widest), "a tolerance that tells trainings apart"


def test_networks_on_the_spot_are_the_committed_ones_in_float64():
    net = weights.load(OBJECTS, sources=("committed",))
    assert {p.dtype for p in net.parameters()} == {torch.float64} and not net.training
    assert list(tiny.read(OBJECTS.name)[0]) == list(OBJECTS.settings(200).snapshots)
    ((images, labels, names),) = networks.test_batches(OBJECTS, count=1, dtype=torch.float64)
    assert images.dtype == torch.float64 and float(images.max()) <= 1 and len(names) == len(labels) == 4
    with torch.no_grad():
        assert torch.allclose(net(images).float(), net.float()(images.float()), atol=1e-3)


def test_gradients_on_the_spot_are_those_of_the_experiment(tmp_path):
    """The same rows as of a network that lies in runs/."""
    states, _ = tiny.read(OBJECTS.name)
    folder = tmp_path / "networks" / OBJECTS.name
    folder.mkdir(parents=True)
    save_file(states[max(states)], folder / "weights.safetensors")
    a, b = gradients.on_the_spot(OBJECTS, 1), study(OBJECTS, 1, tmp_path)
    pd.testing.assert_frame_equal(a[b.columns], b)
