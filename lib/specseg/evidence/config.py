"""Where things are and how a run is set: paths, profiles, seeds, devices. The only reader of the environment."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from specseg.evidence import schema

_INPUTS: dict[str, str] = {}


def root() -> Path:
    """Return the project's root: SPECSEG_ROOT, else the nearest folder above this file or the working folder
    that holds `profiles.toml`.

    Raises FileNotFoundError that names both starting points when there is none.
    """
    return _root(os.environ.get("SPECSEG_ROOT"), os.getcwd())


@lru_cache(maxsize=64)  # asked for at every file that is read
def _root(env: str | None, here: str) -> Path:
    if env:
        path = Path(env).resolve()
        if not (path / "profiles.toml").is_file():
            raise FileNotFoundError(f"SPECSEG_ROOT={env}: no profiles.toml there; it must name the project's root")
        return path
    for start in (Path(__file__).resolve().parent, Path(here)):
        for path in (start, *start.parents):
            if (path / "profiles.toml").is_file():
                return path
    raise FileNotFoundError(
        f"no profiles.toml above {Path(__file__).parent} or {here}: run from a checkout or set SPECSEG_ROOT"
    )


def in_checkout() -> bool:
    """Say whether the project is at hand: an installed library alone has no profiles, records or claims."""
    try:
        return root().is_dir()
    except FileNotFoundError:
        return False


def kept() -> Path:
    """Return the folder that holds manifests and records: the project's root, else an installed library's own."""
    return root() if in_checkout() else Path(__file__).resolve().parents[1] / "_data"


def data_root() -> Path:
    """Return the folder of real data sets: SPECSEG_DATA, else `data/` in the project's root (it may not exist)."""
    env = os.environ.get("SPECSEG_DATA")
    return Path(env).expanduser().resolve() if env else root() / "data"


def nets_root() -> Path:
    """Return the folder of weights that others trained: SPECSEG_NETS, else runs/third_party in the project's root."""
    env = os.environ.get("SPECSEG_NETS")
    return Path(env).expanduser().resolve() if env else root() / "runs" / "third_party"


def in_ci() -> bool:
    """Say whether this is a continuous-integration run (CI set and not empty): no live progress, no quiet skips."""
    return bool(os.environ.get("CI"))


@dataclass(frozen=True)
class Profile:
    """One table of profiles.toml; its keys are attributes (`size`, `images`, `seeds`, ...)."""

    name: str
    values: dict[str, Any] = field(repr=False)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self.values[key]
        except KeyError:
            raise AttributeError(f"profiles.toml [{self.name}] has no '{key}'; it has {sorted(self.values)}") from None


def profiles() -> list[str]:
    """Return the names of all profiles, in the file's order."""
    note_input(root() / "profiles.toml")
    return list(_read_profiles())


def profile(name: str) -> Profile:
    """Return the profile of that name. Raises ValueError that lists the known names."""
    table = _read_profiles()
    schema.one_of("profiles.toml: unknown profile", name, table)
    _INPUTS[f"profiles.toml#{name}"] = _profile_hash(table[name])  # another profile's sizes are no input of this run
    return Profile(name, table[name])


def _read_profiles() -> dict[str, dict[str, Any]]:
    return schema.toml(root() / "profiles.toml")


def _profile_hash(values: dict[str, Any]) -> str:
    return "values:" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def device(choice: str = "auto"):
    """Return the torch device: "cpu", "cuda", or "auto" (cuda where there is one).

    Raises ValueError for another word and RuntimeError when cuda is asked for and absent.
    """
    import torch

    schema.one_of("device", choice, ("auto", "cpu", "cuda"))
    gpu = torch.cuda.is_available()
    if choice == "cuda" and not gpu:
        raise RuntimeError("device 'cuda' was asked for, but torch sees no GPU; use device 'cpu' or 'auto'")
    return torch.device("cuda" if gpu and choice != "cpu" else "cpu")


def device_name(dev) -> str:
    """Return a short human name of a device, e.g. "cpu (2 cores)" or the GPU's name; "cpu" is named without torch."""
    if str(dev) != "cpu":
        import torch

        return torch.cuda.get_device_name(dev)
    return f"cpu ({os.cpu_count()} cores)"


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def note_input(path: Path | str) -> Path:
    """Remember that this process read a file (or listed a folder) of the project, and return the path.

    The driver stores what a chapter has read beside its output, and runs the chapter again when one of them changes.
    Files outside the project's root are not noted: their identity is in the manifests.
    """
    path = Path(path)
    try:
        key = path.resolve().relative_to(root()).as_posix()
    except (ValueError, FileNotFoundError):
        return path
    _INPUTS[key] = input_hash(path)
    return path


def input_hash(path: Path) -> str:
    """Return what stands for an input's state: a file's sha256, a folder's list of names, or "absent"."""
    if path.is_dir():
        names = "\n".join(sorted(p.name for p in path.iterdir() if not p.name.startswith(".")))
        return "names:" + hashlib.sha256(names.encode()).hexdigest()
    return sha256(path) if path.is_file() else "absent"


def inputs() -> dict[str, str]:
    """Return what of the project this process has read so far: path relative to the root -> hash.

    A profile stands as `profiles.toml#name`, with the hash of its own values.
    """
    return dict(sorted(_INPUTS.items()))


def unchanged(key: str, old: str) -> bool:
    """Say whether an input of `inputs()` is still what it was."""
    file, _, name = key.partition("#")
    if not name:
        return input_hash(root() / file) == old
    values = _read_profiles().get(name)
    return values is not None and _profile_hash(values) == old
