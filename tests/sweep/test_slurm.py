"""A sweep on a real Slurm of two nodes: a job is killed, a node dies, another is cut off; the rows are the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from slurmcluster import Cluster, missing
from toysweep import Toy

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=f"no Slurm here ({', '.join(missing())} missing): make test-slurm"),
]


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has a limit
    made = Cluster(folder / "c")
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def on(cluster: Cluster, root: Path, cells: list[dict]) -> Toy:
    toy = Toy(root, cells)
    toy.env |= cluster.env | {"SPECSEG_ROOT": str(toy.root)}
    # Nodes on one machine see a file as soon as it is written: little to wait for.
    quick = "\nfrom specseg.sweep import slurm\nslurm.POLL_S, slurm.GONE_S = 0.5, 6.0\nif __name__"
    toy.file.write_text(toy.file.read_text().replace("\nif __name__", quick))
    return toy


def launch(toy: Toy, *words: str) -> subprocess.Popen:
    return toy.start("run", "--launcher", "slurm", "--cpus-per-cell", "1", *words)


def job_of(toy: Toy, seed: int) -> str:
    return json.loads((toy.home / "slurm" / "jobs.json").read_text())[toy.folder(seed).name]


def ended(child: subprocess.Popen, cluster: Cluster, seconds: float = 150.0) -> str:
    try:
        out, err = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise AssertionError(f"{out}\n{err}\n{cluster.queue()}\n{cluster.logs()}") from None
    assert child.returncode == 0, f"{out}\n{err}\n{cluster.logs()}"
    return out


def test_killed_jobs_and_dying_nodes_end_with_the_rows_of_a_local_run(cluster, tmp_path):
    cells = [{"seed": s, "steps": 40 if s < 2 else 10, "kind": "holds" if s == 2 else "plain"} for s in range(6)]
    here = Toy(tmp_path / "here", cells)
    (here.root / "go").touch()
    local = here.start("--launcher", "local", "--jobs", "6")
    toy = on(cluster, tmp_path / "there", cells)
    (toy.root / "recording").touch()
    launcher = launch(toy)

    cluster.wait(lambda: "step 5/40" in toy.log(0))
    cluster.call("scancel", "--signal", "KILL", job_of(toy, 0))  # a job dies: the launcher requeues it

    cluster.wait(lambda: "step 5/40" in toy.log(1))
    node = cluster.queue()[job_of(toy, 1)][1]
    cluster.kill_node(node)  # a node dies: Slurm requeues its job
    began = time.monotonic()
    # The third job may have been on the node that died: a signal reaches it where it runs now, and once it steps there.
    cluster.wait(lambda: "step " in toy.log(2))
    cluster.wait(lambda: cluster.queue()[job_of(toy, 2)][1] not in ("", node))
    seen = len(toy.log(2))
    cluster.wait(lambda: toy.log(2)[seen:].count("step ") >= 10)  # it is well under way there
    cluster.call("scancel", "--signal", "USR2", job_of(toy, 2))  # what a job gets before its time is over
    cluster.wait(lambda: cluster.nodes()[node].startswith("down"))
    cluster.start_node(node)
    (toy.root / "go").touch()
    print(f"{node} was down after {time.monotonic() - began:.0f} s")

    out = ended(launcher, cluster)
    assert "6/6 done" in out and "(about 2.0 s, 6 at a time)" in out and "failed" not in out
    local.communicate(timeout=60)
    rows, expected = toy.rows(), here.rows()
    assert len(expected) == 6 and rows.keys() == expected.keys()
    assert all(frame.equals(expected[key]) for key, frame in rows.items())
    assert "is gone without an end: requeued" in toy.log(0) and "attempt 2" in toy.log(0) and "attempt 2" in toy.log(1)
    begun = [line.split(" by ")[0] for line in toy.lines("begun.txt")]
    assert "interrupted (SystemExit)" in toy.log(2) and "gone without an end" not in toy.log(2)
    for seed in (0, 1, 2):
        assert any(line.startswith(f"{seed} from ") and not line.endswith(" 0") for line in begun), (
            "from its checkpoint"
        )
    assert Counter(toy.lines("ended.txt")) == dict.fromkeys("012345", 1)
    assert len(list((toy.root / "results").glob("*/*/record.json"))) == 6


def test_a_node_that_is_cut_off_does_no_cell_twice(cluster, tmp_path):
    """Its job goes on unseen; Slurm starts it again elsewhere, and there it waits for the claim, then finds it done."""
    toy = on(cluster, tmp_path, [{"seed": 1, "kind": "holds"}])
    launcher = launch(toy)
    cluster.wait(lambda: "step 5/10" in toy.log(1))
    job = job_of(toy, 1)
    node = cluster.queue()[job][1]
    cluster.cut_node(node)
    other = {"n1": "n2", "n2": "n1"}[node]
    cluster.wait(lambda: cluster.queue().get(job, ("", node)) == ("RUNNING", other))
    cluster.wait(lambda: "waits for process" in toy.log(1))  # for the claim
    seen = len(toy.log(1))
    cluster.wait(lambda: toy.log(1)[seen:].count("held") >= 3)  # both are at it now
    (toy.root / "go").touch()
    ended(launcher, cluster)
    cluster.wait(lambda: job not in cluster.queue())
    assert toy.lines("begun.txt")[0].startswith("1 from 0 ") and len(toy.lines("begun.txt")) == 1
    assert "attempt 2" not in toy.log(1) and len(toy.rows()) == 1
    cluster.start_node(node)
    cluster.wait(lambda: set(cluster.nodes().values()) == {"idle"})


def test_what_fails_and_what_dies_again_and_again(cluster, tmp_path):
    quick = {"steps": 30, "pause": 0.01}
    cells = [{"seed": 0, "kind": "fails", **quick}, {"seed": 1, "kind": "dies", **quick}, {"seed": 2, **quick}]
    toy = on(cluster, tmp_path, cells)
    launcher = launch(toy, "--requeues", "1", "--sbatch", "comment=toy")
    out, err = launcher.communicate(timeout=120)
    assert launcher.returncode == 1, f"{out}\n{err}\n{cluster.logs()}"
    assert "done seed2" in out and f"seed 0: the toy breaks here; log: {toy.folder(0) / 'log.txt'}" in out
    assert "died 2 times; its output: " in out and toy.log(1).count("attempt") == 2
    output = Path(out.split("its output: ")[1].split("; log")[0])
    assert "status -9" in "".join(p.read_text() for p in output.glob("*_log.err"))
    assert "failed" in toy.run("status").stdout


def test_jobs_are_submitted_once_and_waited_for_later(cluster, tmp_path):
    toy = on(cluster, tmp_path, [{"seed": s, "kind": "holds"} for s in (1, 2)])
    assert "submitted" in ended(launch(toy, "--no-wait"), cluster)
    jobs = (toy.home / "slurm" / "jobs.json").read_text()
    later = launch(toy)
    said = later.stdout.readline() + later.stdout.readline()
    assert "2 to do" in said and "jobs: " in said, "it waits"
    (toy.root / "go").touch()
    assert "2/2 done" in ended(later, cluster)
    assert (toy.home / "slurm" / "jobs.json").read_text() == jobs, "the same jobs"
    assert len(toy.lines("begun.txt")) == 2
    refused = launch(on(cluster, tmp_path / "other", [{"seed": 1}]), "--partition", "nowhere")
    out, err = refused.communicate(timeout=60)
    assert refused.returncode == 2 and "sbatch took no job" in err and "invalid partition" in err, out + err
    assert "Traceback" not in err
