"""Records of trained experiments with invented numbers, for tests alone, written into a project of their own.

The numbers follow simple laws (drops and R_ce fall as powers of the band limit, streets have the largest), so that
tests can say what must come out.
"""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from specseg.evidence import records
from specseg.measure.loss import VARIANTS
from specseg.nets import protocol
from specseg.nets.networks import Network

SCALE = {"voc": 1.0, "dubai": 1.5, "camvid": 6.0, "objects": 1.0}
LIMITS = (64, 48, 40, 32, 24, 20, 16, 12, 8, 4)
CLASSES, PICTURES, STEPS = 4, 12, (0, 100, 200, 400)


def project(folder: Path, monkeypatch) -> Path:
    """Make a project without code but a script, and let the library take it for its root."""
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "run.py").write_text('"""Nothing."""\n')
    (folder / "profiles.toml").write_text("[smoke]\nsize = 129\n[standard]\nsize = 513\n[paper]\nsize = 513\n")
    paper = Path(__file__).resolve().parents[1] / "paper"
    shutil.copytree(paper / "tables", folder / "paper" / "tables")
    shutil.copy(paper / "claims.toml", folder / "paper")
    monkeypatch.setenv("SPECSEG_ROOT", str(folder))
    monkeypatch.setattr(records, "_SHOWN", {})
    return folder


def random(network: Network) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(network.name.encode()))


def names(network: Network) -> np.ndarray:
    return np.array([f"p{network.fold}_{k:02d}" for k in range(PICTURES)])


def clusters(network: Network) -> np.ndarray:
    return np.array([f"c{k // 3}" for k in range(PICTURES)])


def error(network: Network, share: float) -> float:
    """Share of pixels that are wrong with a grid of this share of the prediction grid."""
    return 0.2 + 0.1 * network.prune_encoder + 0.002 * SCALE[network.domain] * (1 / share - 1)


def counts(network: Network, share: float) -> np.ndarray:
    """Counts (pictures, C, 3) with about that share wrong."""
    rng = random(network)
    labelled = rng.integers(500, 1500, (PICTURES, CLASSES))
    noise = rng.normal(0, 0.01, (PICTURES, CLASSES))  # the same draw for every share of one network
    hit = (labelled * (1 - error(network, share) + noise)).round().astype(int)
    return np.stack([hit, labelled, labelled], -1)


def write(experiment: str, network: Network, rows: list[dict], probe: dict, profile: str, root: Path) -> Path:
    return records.write(
        experiment, pd.DataFrame(rows), command="invented", profile=profile, script=root / "experiments" / "run.py",
        settings={**network.describe(), "name": network.name}, probe=probe,
    )  # fmt: skip


def truncation(root: Path, network: Network, profile: str = "standard") -> Path:
    sizes = protocol.lrg_sizes(65)
    known = [("full", 65), *((m, s) for s in sizes[1:] for m in ("bilinear", "fourier"))]
    known += [("bilinear_half_pixel", 33), ("bilinear_antialias", 33), ("encoder", 17)]
    shares = [(s - 1) / 64 if m != "encoder" else 0.3 for m, s in known]
    table = np.stack([counts(network, s) for s in shares])
    edges = np.stack([table[..., 0] // 3, table[..., 1]], -1)
    edges[[m not in ("full", "bilinear") for m, _ in known]] = -1
    probe = {"counts": table, "boundary": edges, "methods": np.array([m for m, _ in known]),
             "lrg_sizes": np.array([s for _, s in known]), "names": names(network), "clusters": clusters(network),
             "scored": np.array([0, 1, 3])}  # fmt: skip
    return write("truncation", network, [{"metric": "miou", "value": 0.5}], probe, profile, root)


def networks(root: Path, network: Network, profile: str = "standard") -> Path:
    table = counts(network, 1.0)
    rows = [{"predictor": p, "metric": "miou", "class": "scored", "value": v, "low": v - 0.05, "high": v + 0.05}
            for p, v in (("network", 0.6), ("as counted", 0.2), ("equal priors", 0.15))]  # fmt: skip
    rows += [
        {"predictor": p, "metric": "iou", "class": f"class {c}", "value": v - 0.05 * c}
        for p, v in (("network", 0.6), ("as counted", 0.2), ("equal priors", 0.2))
        for c in range(CLASSES)
    ]
    rows += [{"predictor": "network", "metric": "boundary_miou", "class": "scored", "value": 0.4},
             {"predictor": "network", "metric": "seconds", "class": "training", "value": 900.0}]  # fmt: skip
    probe = {"counts": table, "names": names(network), "clusters": clusters(network), "scored": np.array([0, 1, 3])}
    return write("networks", network, rows, probe, profile, root)


def loss(root: Path, network: Network, profile: str = "standard") -> Path:
    rng = random(network)
    total = np.tile(rng.uniform(0.3, 0.9, PICTURES), (len(VARIANTS), 1))
    law = 0.5 * SCALE[network.domain] / np.array(LIMITS, float) ** 1.5
    tail = -total[..., None] * law * rng.uniform(0.8, 1.2, (len(VARIANTS), PICTURES, 1))
    tail[1] *= 0.5  # mirrored frames lose less
    rows = [{"metric": "temperature", "value": 1.3}]
    nu = np.arange(129)
    rims = {"loss_rim": np.where(nu == 0, 1.0, -0.4 / (1.0 + nu) ** 2), "labels_rim": 1 / (1.0 + nu) ** 3,
            "logits_rim": np.where(nu <= 32, 1 / (1.0 + nu) ** 3, 1e-8)}  # fmt: skip
    for name, values in rims.items():
        for variant in ("periodic", "mirrored") if name == "loss_rim" else ("periodic",):
            rows += [{"metric": name, "variant": variant, "nu": n, "value": v} for n, v in enumerate(values)]
    for step in STEPS if network.is_baseline else ():
        learnt = step / STEPS[-1]
        late = learnt**2  # what lies above 16 is learnt later
        during = np.where(nu <= 16, 1.0 - 0.6 * learnt, 0.2 - 0.1 * late) / (1.0 + nu) ** 2
        rows += [{"metric": "loss_rim", "step": step, "nu": n, "value": v} for n, v in enumerate(during)]
        rows.append({"metric": "miou", "step": step, "value": 0.1 + 0.5 * learnt})
    probe = {"total": total, "tail": tail, "variants": np.array(VARIANTS), "limits": np.array(LIMITS),
             "names": names(network), "clusters": clusters(network), "temperature": np.array(1.3)}  # fmt: skip
    if not network.is_baseline:
        probe["total"][5], probe["tail"][5] = np.nan, np.nan  # no padded frames
    return write("loss_in_frequency", network, rows, probe, profile, root)
