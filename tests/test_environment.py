"""What a fresh machine needs: lists of packages in step, every Python resolved, nothing of one machine in git."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, skip_or_fail
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = {"": PROJECT["dependencies"], **EXTRAS}


def pins() -> dict[str, list[Requirement]]:
    """Return package -> its lines in constraints.txt (more than one where markers tell them apart)."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if text := line.split("#")[0].strip():
            requirement = Requirement(text)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version(requirement: Requirement) -> str:
    return next(iter(requirement.specifier)).version


# --- the lists -----------------------------------------------------------------------------------------------------


def test_constraints_pin_one_version_each():
    for name, lines in pins().items():
        for line in lines:
            pinned = [s.operator for s in line.specifier] == ["=="] and "*" not in str(line.specifier)
            assert pinned and not line.url, f"constraints.txt: {line} pins no version"
        assert len(lines) == 1 or all(line.marker for line in lines), f"constraints.txt: {name} twice"
    assert not [n for n in pins() if n.startswith(("nvidia-", "cuda-", "triton"))], "the list is for every platform"


@pytest.mark.parametrize("extra", DECLARED)
def test_every_dependency_is_pinned_within_its_bounds(extra):
    for text in DECLARED[extra]:
        wanted = Requirement(text)
        lines = pins().get(canonicalize_name(wanted.name))
        assert lines, f"pyproject.toml: {text} has no line in constraints.txt"
        for line in lines:
            assert version(line) in wanted.specifier, f"constraints.txt: {line} is outside of {text}"


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_has_exactly_one_pin_of_each_dependency(python):
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux",
            "platform_machine": "x86_64", "implementation_name": "cpython", "extra": ""}  # fmt: skip
    for name, lines in pins().items():
        valid = [line for line in lines if not line.marker or line.marker.evaluate(here)]
        assert len(valid) <= 1, f"{name}: {len(valid)} pins for Python {python}"
    for text in sum(DECLARED.values(), []):
        lines = pins()[canonicalize_name(Requirement(text).name)]
        assert any(not line.marker or line.marker.evaluate(here) for line in lines), f"{text}: no pin at {python}"


def test_conda_readers_get_the_same():
    doc = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert doc["name"] == PROJECT["name"]
    python, pip, through_pip = doc["dependencies"]
    assert pip == "pip"
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])
    constraints, install = through_pip["pip"]
    assert (ROOT / constraints.removeprefix("-c ")).is_file()
    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", install).group(1).split(",")
    assert sorted(extras) == sorted(EXTRAS), "conda readers get every extra"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"-c constraints.txt -e '.[{','.join(extras)}]'" in makefile, "make installs the same"


def test_the_pythons_are_those_that_the_project_names():
    inside = SpecifierSet(PROJECT["requires-python"])
    assert [p for p in ("3.10", *PYTHONS, "3.14") if f"{p}.1" in inside] == list(PYTHONS)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    tested = re.search(r"python: \[(.+)\]", workflow).group(1)
    assert {p.strip(' "') for p in tested.split(",")} <= set(PYTHONS)


def test_what_is_installed_is_what_is_pinned():
    """The environment of this run: a version that is not the pinned one would hide what readers get."""
    wrong = []
    for text in sum(DECLARED.values(), []):
        name = canonicalize_name(Requirement(text).name)
        lines = [line for line in pins()[name] if not line.marker or line.marker.evaluate()]
        if metadata.version(name).split("+")[0] != version(lines[0]):
            wrong.append(f"{name} {metadata.version(name)}, pinned {version(lines[0])}")
    assert wrong == []


distributions = cache(metadata.packages_distributions)  # it reads what every installed package brought


def third_party(folders: list[str]) -> set[str]:
    """Return the distributions that the Python files below these folders import."""
    tops: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    tops |= {a.name.split(".")[0] for a in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    tops.add(node.module.split(".")[0])
    owners = distributions()
    tops -= set(sys.stdlib_module_names) | {"specseg", "steps", "__future__"}
    return {canonicalize_name(owners[top][0]) for top in tops if top in owners}


def test_the_library_imports_only_what_it_declares():
    declared = {canonicalize_name(Requirement(t).name) for extra in ("", "train", "book") for t in DECLARED[extra]}
    assert third_party(["lib", "experiments"]) - declared == set()


def test_driver_and_tests_import_only_what_is_pinned():
    assert third_party(["book", "chapters", "tests", "bench"]) - set(pins()) - {"pip"} == set()


@pytest.mark.network
@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_resolves(python, tmp_path):
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    assert uv, "uv is a test dependency; run make setup"
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}  # what is built is built by this Python
    for theirs, ours in (("PIP_FIND_LINKS", "UV_FIND_LINKS"), ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")):
        if theirs in env:
            env.setdefault(ours, env[theirs])
    out = tmp_path / "resolved.txt"
    command = [uv, "pip", "compile", "pyproject.toml", "--all-extras", "-c", "constraints.txt", "-q", "--no-header",
               "--no-annotate", "--python-version", python, "-o", str(out)]  # fmt: skip
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)
    if run.returncode and re.search(r"(?i)error sending request|dns error|failed to fetch|connect", run.stderr):
        skip_or_fail(f"the package index cannot be reached: {run.stderr.strip().splitlines()[-1]}")
    assert run.returncode == 0, run.stderr
    resolved = {canonicalize_name(r.name): version(r) for r in map(Requirement, out.read_text().splitlines())}
    for text in sum(DECLARED.values(), []):
        assert canonicalize_name(Requirement(text).name) in resolved
    loose = {n: v for n, v in resolved.items() if v.split("+")[0] not in [version(p) for p in pins().get(n, [])]}
    assert {n for n in loose if not n.startswith(("nvidia-", "cuda-", "triton"))} == set(), "resolved but not pinned"


# --- the library without the book's packages -----------------------------------------------------------------------

BLOCKER = """
import importlib, sys
refused = set({refused!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ImportError(f"REFUSED {{name}}")
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
print("all imported")
"""
BOOK = ["IPython", "ipykernel", "papermill", "jupytext", "myst_nb", "jupyter_book", "jupyter_client", "jupyter_core",
        "nbformat", "nbclient", "sphinx", "notebook", "torchmetrics"]  # fmt: skip


def imported_without(refused: list[str], modules: list[str]) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib"), "SPECSEG_ROOT": str(ROOT), "PYTHONWARNINGS": "ignore"}
    code = BLOCKER.format(refused=refused, modules=modules)
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert run.stdout.strip() == "all imported", run.stderr[-2000:]


def library_modules() -> list[str]:
    lib = ROOT / "lib"
    paths = [p for p in sorted((lib / "specseg").rglob("*.py")) if "__pycache__" not in p.parts]
    return [".".join(p.relative_to(lib).with_suffix("").parts).removesuffix(".__init__") for p in paths]


def test_the_blocker_blocks():
    with pytest.raises(AssertionError, match="REFUSED numpy"):
        imported_without(["numpy"], ["specseg.evidence.statistics"])


def test_the_library_needs_none_of_the_book_and_test_packages():
    imported_without(BOOK, library_modules())


def only_in(*extras: str) -> list[str]:
    """Return the import names of what these extras declare."""
    named = {canonicalize_name(Requirement(text).name) for extra in extras for text in DECLARED[extra]}
    owners = distributions()
    return sorted({top for top, names in owners.items() if canonicalize_name(names[0]) in named} - {"sympy"})


def test_without_extras_there_are_the_face_the_adviser_and_the_command(tmp_path):
    """Not sympy: torch itself needs it. What stays away is what only training, proofs and pages need."""
    refused = only_in("train", "book")
    assert {"timm", "lightning_fabric", "submitit", "statsmodels", "plotly", "jupytext"} <= set(refused)
    rooms = ("spectral", "evidence", "data", "measure", "advise", "cli")
    whole = [name for name in library_modules() if name.split(".")[1:2] in ([room] for room in rooms)]
    whole += ["specseg.nets.models", "specseg.nets.flops", "specseg.nets.pruning"]
    use = (
        "import specseg, sys\n[getattr(specseg, name) for name in specseg.FACE]\n"
        "from specseg.advise import example\nfrom specseg.cli import main\n"
        f"sys.argv = ['specseg', 'advise', str(example.write({str(tmp_path / 'labels')!r}, count=2)), '--size', '65', "
        f"'--out', {str(tmp_path / 'advice')!r}]\nmain()\n"
    )
    code = BLOCKER.format(refused=[*refused, *BOOK], modules=whole) + use
    shutil.copytree(ROOT / "lib" / "specseg", tmp_path / "installed" / "specseg")  # as pip leaves it: no checkout above
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONWARNINGS": "ignore"}
    env.pop("SPECSEG_ROOT", None)
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and "all imported" in run.stdout, run.stderr[-2000:]
    assert (tmp_path / "advice" / "advice.html").is_file()


def test_the_measuring_core_runs_beside_a_bare_torch():
    """An installed torch with numpy, scipy, pandas and pydantic is enough for spectra, scores, records, the ledger."""
    core = {"torch", "numpy", "scipy", "pandas", "pydantic"}
    others = {canonicalize_name(Requirement(t).name) for t in DECLARED[""]} - core
    owners = distributions()
    refused = [top for top, names in owners.items() if canonicalize_name(names[0]) in others]
    assert {"matplotlib", "typer", "torchvision"} <= set(refused)
    core = [name for name in library_modules() if name.split(".")[1:2] in (["spectral"], ["evidence"])]
    refused = [r for r in refused if r not in ("sympy", "mpmath")]  # torch itself imports sympy
    imported_without(BOOK + refused, [*core, "specseg.nets.pruning"])


# --- make, and what is in git --------------------------------------------------------------------------------------


def test_make_help_lists_every_target():
    if not shutil.which("make"):
        skip_or_fail("make is not installed")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE).group(1).split())
    assert targets == phony
    run = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and {x.split()[0] for x in run.stdout.splitlines() if x[:1].islower()} >= targets
    plain = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert plain.stdout == run.stdout, "make alone prints the help and does nothing"
    for name in ("README.md", "CONTRIBUTING.md", "book/index.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        asked = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
        assert asked <= targets, f"{name} names make targets that do not exist: {asked - targets}"


def committed() -> list[Path]:
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    found = {}
    for path in committed():
        data = path.read_bytes()
        if b"\0" not in data[:4096]:
            found[path.relative_to(ROOT).as_posix()] = data.decode("utf-8", "replace")
    return found


NAMES = ("pypi.org", "pythonhosted", "download.pytorch", "artifactory", "jfrog", "nexus", "index-url")
ROOTS = ("home", "root", "Users", "work", "mnt", "private")
HOSTS = re.compile("|".join(map(re.escape, NAMES)), re.IGNORECASE)
PLACES = re.compile(rf"(?<![\w.~/)}}-])/({'|'.join(ROOTS)})/\w|(?<![\w.~/)}}-])/tmp\b|\b[A-Z]:\\\\?Users")
MARKS = (*NAMES, *(f"/{name.lower()}/" for name in ROOTS), "/tmp", "users")  # one is in whatever the two find
EXAMPLE = re.compile(r"^(jupytext --to ipynb|papermill) .*/tmp/")  # the documented run under plain papermill


def test_no_committed_file_names_a_package_host_or_a_place_of_one_machine():
    found = []
    for name, text in texts().items():
        low = text.lower()
        if name == "tests/test_environment.py" or not any(mark in low for mark in MARKS):
            continue
        for n, line in enumerate(text.splitlines(), 1):
            place = PLACES.search(line) and not (name.endswith(".md") and EXAMPLE.match(line))
            if HOSTS.search(line) or place:
                found.append(f"{name}:{n}: {line.strip()[:120]}")
    assert found == []


def test_the_patterns_find_what_they_must():
    for line in ("x = '/home/me/data'", "cd /tmp/x", "see /root/a", "open('/work/main/x')", "C:\\Users\\me"):
        assert PLACES.search(line) and any(mark in line.lower() for mark in MARKS), line
    for line in ("results/home/x", "https://example.org/work/x", "a/tmp/b", "{root}/work/x", "~/work/x", "/usr/bin"):
        assert not PLACES.search(line), line
    assert all(HOSTS.search(f"pip install {option} https://x") for option in ("--index-url", "--extra-index-url"))
    assert not HOSTS.search("a package index")


def test_what_is_committed_is_small():
    sizes = {p.relative_to(ROOT).as_posix(): p.stat().st_size for p in committed()}
    weights = {name: size for name, size in sizes.items() if re.fullmatch(r"results/weights/[^/]+\.safetensors", name)}
    large = [(name, size) for name, size in sizes.items() if size > 1_000_000 and name not in weights]
    assert large == [], "data and built pages are not committed"
    assert max(weights.values(), default=0) < 10_000_000 and sum(weights.values()) < 60_000_000


def test_licences_and_citation_are_there():
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Attribution 4.0 International" in (ROOT / "LICENSE-prose.md").read_text(encoding="utf-8")
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["version"] == PROJECT["version"] and cff["license"] == ["MIT", "CC-BY-4.0"]
    assert {"title", "authors", "message", "cff-version", "references"} <= set(cff)
    assert "2012.14123" in str(cff["references"])


def workflows() -> dict[str, dict]:
    folder = ROOT / ".github" / "workflows"
    return {p.name: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.yml"))}


def test_workflows_pin_their_actions_and_ask_for_little():
    assert set(workflows()) == {"ci.yml", "publish.yml"}
    for name, doc in workflows().items():
        assert doc["permissions"] == {"contents": "read"}, f"{name}: the default permission reads the repository only"
        for job, body in doc["jobs"].items():
            assert body["timeout-minutes"] <= 60, f"{name}: {job}"
            for step in body["steps"]:
                if "uses" in step:
                    used = step["uses"]
                    assert re.search(r"@[0-9a-f]{40}$", used), f"{name}: {used} is not pinned"
            writes = {k for k, v in body.get("permissions", {}).items() if v == "write"}
            assert writes <= ({"pages", "id-token"} if name == "publish.yml" else set()), f"{name}: {job} asks {writes}"
    runs = [s.get("run", "") for s in workflows()["ci.yml"]["jobs"]["test"]["steps"]]
    assert "make test" in runs, "the public host runs what the README says"


def test_hooks_are_local():
    doc = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [r["repo"] for r in doc["repos"]] == ["local"]
    assert {"ruff", "ruff-format", "no-notebooks"} <= {h["id"] for r in doc["repos"] for h in r["hooks"]}
