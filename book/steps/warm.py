"""Kernels forked from one warm parent: all chapters, and Sphinx after them, share one import of torch, pandas and more.

Run as a program this file is the parent: it imports what chapters import of other people's packages, then forks a
child for each request on its standard input. Of the library it loads only what every chapter loads, so that a
chapter's `provenance.loaded()` still names what the chapter itself uses, and hashes the library's code once for all.
Where forking after imports is not safe (elsewhere than on Linux) the driver starts ordinary kernels.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from queue import Empty
from typing import Any

MODULES = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger", "tornado.platform.asyncio",
    "IPython.core.completerlib", "IPython.extensions.storemagic", "matplotlib_inline.backend_inline", "myst_nb",
    "numpy", "pandas", "scipy.stats", "scipy.optimize", "scipy.ndimage", "sympy", "matplotlib.pyplot",
    "matplotlib.backends.backend_svg", "plotly.graph_objects", "PIL.Image", "torch", "safetensors.torch",
    "specseg.data._torchvision", "timm", "statsmodels.api", "pandas.io.formats.style", "myst_nb.ext.glue",
    "specseg.evidence.ledger", "specseg.evidence.records", "specseg.figures",
)  # fmt: skip
SPHINX = (
    "jupyter_book.cli.main", "jupyter_book.sphinx", "sphinx.ext.autodoc", "sphinx.domains.cpp", "sphinx.builders.epub3",
    "sphinx_book_theme", "sphinxcontrib.bibtex", "myst_nb.sphinx_ext", "sphinx_external_toc", "sphinx_togglebutton",
    "sphinx_copybutton", "sphinx_thebe", "sphinx_comments", "sphinx_design", "sphinx_jupyterbook_latex",
)  # fmt: skip
# Two seconds that a chapter need not wait for: the longest, which begin, ask for none of these.
LATER = ("specseg.data._torchvision", "timm", "statsmodels.api")
KERNEL = "from ipykernel import kernelapp; kernelapp.launch_new_instance()"


WORTH = 5  # chapters: fewer load less by themselves than all need together


def available() -> bool:
    """Say whether kernels can be forked here."""
    return sys.platform == "linux"


class Kernel:
    """A forked kernel with the part of `subprocess.Popen` that jupyter_client's provisioner asks for."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, parent: Parent) -> None:
        self.pid, self._parent = pid, parent

    def poll(self) -> int | None:
        """Return the exit status, None while the kernel runs."""
        return self._parent.status(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status; raises TimeoutError."""
        return self._parent.wait(self.pid, timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the kernel has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Parent:
    """The driver's side: start the warm parent, ask it for kernels, hear of their ends. A context manager."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules, self._lock, self._news = modules, threading.Lock(), threading.Condition()
        self._process: subprocess.Popen | None = None
        self._born: list[int] = []
        self._ended: dict[int, int] = {}
        self._dead = False

    def __enter__(self) -> Parent:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):  # a parent that has died
                self._process.stdin.close()  # it ends its kernels and itself
            self._process.wait(timeout=20)

    @property
    def started(self) -> bool:
        """Say whether somebody has asked for it."""
        return self._process is not None

    def begin(self) -> None:
        """Start the parent, which takes seconds, unless it runs."""
        with self._lock:
            if self._process is None:
                command = [sys.executable, __file__, *self._modules]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                                 bufsize=1)  # fmt: skip
                threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            what, *told = line.split()
            with self._news:
                if what == "born":
                    self._born.append(int(told[0]))
                else:
                    self._ended[int(told[0])] = int(told[1])
                self._news.notify_all()
        with self._news:
            self._dead = True
            self._news.notify_all()

    def start(self, arguments: list[str], env: dict[str, str], cwd: str, log: Path, code: str = KERNEL) -> Kernel:
        """Fork a kernel with ipykernel's command-line arguments, or another program, of this code; what it says goes to
        the file `log`. Raises ChildProcessError when the parent is gone."""
        self.begin()
        request = {"arguments": arguments, "env": env, "cwd": cwd, "log": str(log), "code": code}
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
            except OSError as err:
                raise ChildProcessError(f"the parent of kernels has ended: {err}") from None
            with self._news:
                self._news.wait_for(lambda: self._born or self._dead)
                if not self._born:
                    raise ChildProcessError("the parent of kernels ended before it could start one")
                return Kernel(self._born.pop(), self)

    def run(self, code: str, arguments: list[str], env: dict[str, str], cwd: str, log: Path) -> tuple[int, str]:
        """Run a program to its end and return its exit status and all that it says: forked, so that it has the imports,
        where the parent runs already, else as an ordinary process."""
        if self.started:
            status = self.start(arguments, env, cwd, log, code).wait()
            return status, log.read_text(encoding="utf-8")
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def status(self, pid: int) -> int | None:
        """Return a kernel's exit status, None while it runs."""
        with self._news:
            return self._ended.get(pid, 1 if self._dead else None)

    def wait(self, pid: int, timeout: float | None) -> int:
        """Wait for a kernel's end."""
        with self._news:
            if not self._news.wait_for(lambda: pid in self._ended or self._dead, timeout):
                raise TimeoutError(f"kernel {pid} still runs after {timeout} s")
            return self._ended.get(pid, 1)


def manager(parent: Parent | None, log: Path) -> type:
    """Return a kernel manager class whose kernels are forked by this parent; ordinary ones without any.

    What a kernel's process itself says goes to the file `log`: nobody needs to read it unless a kernel dies.
    """
    from jupyter_client import AsyncKernelClient, AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    class Provisioner(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **given: Any) -> dict[str, Any]:
            if parent is None:
                log.parent.mkdir(parents=True, exist_ok=True)
                with open(log, "ab") as said:
                    return await super().launch_kernel(cmd, **given | {"stderr": said})
            arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
            self.process = parent.start(arguments, given["env"], str(given.get("cwd") or os.getcwd()), log)
            self.pid = self.pgid = self.process.pid  # the kernel leads a session of its own
            return self.connection_info

    class Client(AsyncKernelClient):
        async def wait_for_ready(self, timeout: float | None = None) -> None:
            """Wait until the kernel has answered on both channels; jupyter_client then waits for 0.2 s of silence."""
            end = time.monotonic() + (timeout or 60)
            while time.monotonic() < end and await self.is_alive():
                asked = self.kernel_info()
                with contextlib.suppress(Empty):
                    await self.get_shell_msg(timeout=1)
                    while True:
                        told = await self.get_iopub_msg(timeout=0.2)
                        ended = told["content"].get("execution_state") == "idle"
                        if ended and told["parent_header"].get("msg_id") == asked:
                            return
            raise RuntimeError("the kernel ended, or did not answer, before its first cell")

    class Manager(AsyncKernelManager):
        client_factory = Client

        async def _async_wait(self, pollinterval: float = 0.02) -> None:
            await super()._async_wait(min(pollinterval, 0.02))  # a tenth of a second of a chapter's end

        async def _async_pre_start_kernel(self, **given: Any) -> tuple[list[str], dict[str, Any]]:
            if self.provisioner is None:
                self.provisioner = Provisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
            return await super()._async_pre_start_kernel(**given)

    return Manager


def _child(request: dict[str, Any]) -> None:
    """In the forked child: become the kernel, or the program, that the request describes."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.makedirs(os.path.dirname(request["log"]), exist_ok=True)
    said = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)  # the parent's standard output is its line to the driver
    os.dup2(said, 2)
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1)
    os.environ.clear()
    os.environ.update(request["env"], JPY_PARENT_PID=str(os.getppid()))
    os.chdir(request["cwd"])
    import random

    import numpy

    random.seed()
    numpy.random.seed()
    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    exec(compile(request["code"], "<warm>", "exec"), {"__name__": "__main__"})


def _serve(modules: Sequence[str]) -> None:
    """In the parent: fork a kernel a line, tell of births and ends, and end all when the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to answer
    del sys.path[0]  # the folder of this file is none of a chapter's
    gc.disable()  # what is imported stays: a tenth of this time was searching it
    later = [name for name in LATER if name in modules]
    _load([name for name in modules if name not in later])
    from specseg.evidence import provenance
    from specseg.evidence.claims import load_claims

    for file in provenance.library().rglob("*.py"):
        provenance.code_hash(file)
    with contextlib.suppress(ValueError, OSError):  # chapters and the driver say what is wrong with them
        load_claims()
    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 20, 100)  # chapters make many objects and few circles: 6 % of their time was searching
    alive: set[int] = set()
    practised = False
    while True:
        ready, _, _ = select.select([0], [], [], 0 if later else 0.02)
        for pid in list(alive):
            if (ended := os.waitpid(pid, os.WNOHANG))[0]:
                alive.remove(pid)
                os.write(1, f"ended {pid} {os.waitstatus_to_exitcode(ended[1])}\n".encode())
        if not ready:
            if later:
                _load([later.pop(0)])
                gc.freeze()
            elif alive and not practised:  # the first chapters run, and nothing is asked
                practised = True
                with contextlib.suppress(Exception):  # what does not draw, the chapters will tell
                    _practise()
            continue
        line = _line()
        if not line:
            break
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                _child(json.loads(line))
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException:  # nothing above this may run a second time, in the child
                traceback.print_exc()
            finally:
                os._exit(status)
        alive.add(pid)
        os.write(1, f"born {pid}\n".encode())
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _load(modules: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's packages
        for name in modules:
            with contextlib.suppress(ImportError, RuntimeError):  # a chapter that needs it says so itself
                importlib.import_module(name)


def _practise() -> None:
    """Draw a picture of each kind, for half a second goes into what a process needs for its first of them; read the
    rows of all records, since chapters read the same ones; load what Sphinx needs at the end."""
    from specseg.evidence import records

    for meta in records.home().glob("*/*/record.json"):
        records.rows(meta.with_name("rows.csv"), json.loads(meta.read_text(encoding="utf-8"))["rows_sha256"])
    if "plotly.graph_objects" in sys.modules and "specseg.figures" in sys.modules:
        from specseg import figures

        fig, ax = figures.subplots(size=(2, 2))
        ax.set(xscale="log", xlim=(1, 10), title="$x$")
        figures.show(fig, caption="none", alt="none")
        axes = {"xaxis": {"title": "x"}, "yaxis": {"title": "y"}}
        fig = figures.choices({k: {"a": ([1, 2], [1, 2])} for k in "bc"}, {"a": {}}, axes=axes)
        figures.show_plotly(fig, caption="none", alt="none", label="none")
        _load(SPHINX)


def _line() -> bytes:
    """Read one line of standard input without a buffer: what is left stays visible to select."""
    found = b""
    while not found.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        found += byte
    return found


if __name__ == "__main__":
    _serve(sys.argv[1:])
