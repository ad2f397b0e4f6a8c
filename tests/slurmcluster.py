"""A real Slurm of two nodes on this machine, in one folder: started for a test, stopped after it."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # Debian keeps the daemons there


def missing() -> list[str]:
    """Return the programs of Slurm and munge that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


class Cluster:
    """Two nodes, n1 and n2, with one processor each; `env` is what a user's shell needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "log", "spool.n1", "spool.n2"):
            (folder / name).mkdir(parents=True)
        text = (Path(__file__).parent / "slurm" / "slurm.conf.in").read_text()
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        for number, each in enumerate(sockets):
            text = text.replace(f"@PORT{number}@", str(each.getsockname()[1]))
        for each in sockets:
            each.close()
        (folder / "slurm.conf").write_text(text.replace("@DIR@", str(folder)).replace("@USER@", getpass.getuser()))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        self.env |= {"PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *words: str, check: bool = True) -> str:
        """Return what a command prints. Raises AssertionError with its words when it fails."""
        run = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0 or not check, f"{' '.join(words)}: {run.stderr}\n{self.logs()}"
        return run.stdout

    def start(self) -> None:
        """Start munge, the controller and both nodes, and wait until they are idle."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        self.folder.chmod(0o755)  # munge wants its socket reachable
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self.call("munged", "--force", *(f"--{k}={self.folder}/munge.{v}" for k, v in files.items()))
        self.call("slurmctld", "-i")
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait(lambda: self.nodes() == {"n1": "idle", "n2": "idle"})

    def start_node(self, node: str) -> None:
        self.call("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and everything that runs on it, as when its power fails."""
        os.kill(self._pid(f"slurmd.{node}"), signal.SIGKILL)
        for pid in self.running(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def cut_node(self, node: str) -> None:
        """Kill a node's daemon alone: its jobs go on, and nobody hears of them, as when its network fails."""
        os.kill(self._pid(f"slurmd.{node}"), signal.SIGKILL)

    def running(self, node: str) -> set[int]:
        """Return the processes of the jobs on a node and those that watch over them."""
        mine = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={self.folder}/slurm.conf".encode()}
        log = f"{self.folder}/log/slurmd.{node}.log"
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                if mine <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.add(int(folder.name))
                elif (folder / "comm").read_text().startswith("slurmstepd"):
                    if any(os.readlink(fd).startswith(log) for fd in (folder / "fd").iterdir()):
                        found.add(int(folder.name))
        return found

    def _pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def nodes(self) -> dict[str, str]:
        """Return node -> state."""
        return dict(line.split() for line in self.call("sinfo", "-h", "-N", "-o", "%N %t").splitlines())

    def queue(self) -> dict[str, tuple[str, str]]:
        """Return job id -> (state, node)."""
        lines = self.call("squeue", "-h", "-r", "-o", "%i|%T|%N").splitlines()
        return {job: (state, node) for job, state, node in (line.split("|") for line in lines)}

    def wait(self, condition, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"waited in vain\n{self.logs()}"
            time.sleep(0.2)

    def logs(self) -> str:
        """Return the last lines of every daemon's log."""
        files = sorted((self.folder / "log").glob("*.log"))
        return "\n".join(f"--- {f.name}\n" + "\n".join(f.read_text().splitlines()[-25:]) for f in files)

    def stop(self) -> None:
        """Stop everything that was started, jobs first, and take the folder away."""
        pids = {name: self._pid(name) for name in ("slurmd.n1", "slurmd.n2", "ctld", "munge") if self._there(name)}
        self.call("scancel", "--user", getpass.getuser(), check=False)
        self.call("scontrol", "shutdown", check=False)
        time.sleep(0.5)
        for pid in [*self.running("n1"), *self.running("n2"), *pids.values()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while self.folder.exists() and time.monotonic() < until:  # a daemon's last file may come after the first try
            shutil.rmtree(self.folder, ignore_errors=True)
            time.sleep(0.2)

    def _there(self, name: str) -> bool:
        return (self.folder / f"{name}.pid").exists()
