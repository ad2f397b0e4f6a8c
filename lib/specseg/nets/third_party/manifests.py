"""Manifests of networks that others trained (data_manifests/networks/*.toml): origin, licence, hash, what is not known.

The weights themselves never travel with the project; they lie where `config.nets_root` says.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from specseg.evidence import config, schema
from specseg.evidence.schema import FieldError, Model, Must

Hash = Annotated[str, Must("64 hex digits", lambda text: len(text) == 64 and set(text) <= set("0123456789abcdef"))]
Positive = Annotated[int, Must("a number above 0", lambda n: n > 0)]


class WrongHash(ValueError):
    """A file of weights that is not the published one; the message names the file and both hashes."""


@dataclass(frozen=True)
class NetManifest(Model):
    """One network: `dataset` it was trained for, its `outputs`, of which the first `classes` are the data set's.

    `origin` is the repository, at `commit`; `file` the published file in it ("" where it is not known), from which the
    tensors of NAME.safetensors were taken under their names; `published` an mIoU that its authors give, in words;
    `unknown` says what its training leaves open.
    """

    name: str
    title: str
    paper: str
    dataset: str
    trained_on: str
    outputs: Positive
    classes: Positive
    licence: str
    origin: str
    commit: str
    bytes: Positive
    sha256: Hash
    file: str = ""
    published: str = ""
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.classes > self.outputs:
            raise FieldError("classes", f"expected at most its {self.outputs} outputs; found {self.classes}")

    @property
    def path(self) -> Path:
        """Where its weights lie on this machine, or would lie."""
        return config.nets_root() / f"{self.name}.safetensors"

    def how(self) -> str:
        """Return in words how to get its weights."""
        what = self.file or "the published weights"
        return (
            f"{self.name}: take {what} from {self.origin} at {self.commit} ({self.licence}), then "
            f"`specseg nets fetch {self.name} --from FILE`; a .safetensors file of its tensors with sha256 "
            f"{self.sha256} is expected, or the .pth file that it is made of"
        )


def folder() -> Path:
    """Return the folder of the manifests."""
    return config.root() / "data_manifests" / "networks"


def names() -> list[str]:
    """Return the names of all networks that have a manifest, sorted."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(name: str) -> NetManifest:
    """Return the manifest of a network. Raises ValueError that lists the known names, or names file and field."""
    schema.one_of("no manifest for network", name, names())
    path = folder() / f"{name}.toml"
    manifest = schema.read(NetManifest, schema.toml(config.note_input(path)), path.name)
    if manifest.name != name:
        raise ValueError(f"{path.name}: field 'name': expected {name!r}; found {manifest.name!r}")
    return manifest


def check(manifest: NetManifest, path: Path | None = None) -> Path:
    """Return the file of a network's weights if it is the published one.

    Raises FileNotFoundError that names command and origin, and WrongHash.
    """
    path = path or manifest.path
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights. {manifest.how()}")
    if (found := config.sha256(path)) != manifest.sha256:
        raise WrongHash(f"{path}: sha256 is {found}, expected {manifest.sha256}; it is not the network of the manifest")
    return path


def fetch(manifest: NetManifest, source: Path) -> Path:
    """Put a network's weights in their place, from a .safetensors file, a folder that has it, or the published .pth.

    Nothing is kept unless its hash is right. Raises as `check`, and ValueError for another kind of file.
    """
    if source.is_dir():
        source = source / manifest.path.name
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file. {manifest.how()}")
    if source.suffix not in (".safetensors", ".pth"):
        raise ValueError(f"{source}: expected a .safetensors or a .pth file")
    manifest.path.parent.mkdir(parents=True, exist_ok=True)
    part = manifest.path.with_suffix(".part")
    try:
        if source.suffix == ".pth":
            _converted(source, part)
        else:
            shutil.copyfile(source, part)
        return check(manifest, part).replace(manifest.path)
    finally:
        part.unlink(missing_ok=True)


def _converted(source: Path, target: Path) -> None:
    """Write the tensors of a published checkpoint, without counters and without code, as safetensors."""
    import torch
    from safetensors.torch import save_file

    state = torch.load(source, map_location="cpu", weights_only=True)
    kept = {k.removeprefix("module."): v.contiguous() for k, v in state.items() if "num_batches_tracked" not in k}
    save_file(kept, target)
