"""What labels alone predict, picture by picture: the same ceilings, contours and energies as the library's own."""

import numpy as np
import pytest
import torch

from specseg.data import label_predictors as study
from specseg.data import synthetic
from specseg.data.label_spectra import rim_power
from specseg.evidence import statistics as scores
from specseg.nets import colour
from specseg.spectral import labels as annotation


@pytest.fixture(scope="module")
def labels():
    return torch.stack([torch.from_numpy(synthetic.scene("landcover", 40 + i, 65).label) for i in range(3)])


@pytest.fixture(scope="module")
def got(labels):
    batches = [(None, labels[:2], ("a", "b")), (None, labels[2:], ("c",))]
    return study.label_counts(batches, 7, (33, 17, 9))


@pytest.mark.parametrize("kind", study.KINDS)
def test_ceilings_equal_weak_labels_scored_by_hand(kind, labels, got):
    k = study.KINDS.index(kind)
    for j, size in enumerate(got.lrg_sizes):
        for i, label in enumerate(labels):
            if kind.startswith("block"):
                weak = annotation.block_labels(label, mode=kind.removeprefix("block_"), lrg_size=size)
            else:
                weak = annotation.band_limited_labels(label, (size - 1) // 2, kind.removeprefix("band_"))
            same = (weak == label) & (label != 255)
            assert got.counts[k, j, i, :, 0].tolist() == [int((same & (label == c)).sum()) for c in range(7)]
    pooled = got.counts[k].sum(1)
    assert (np.diff(scores.miou(pooled)) < 0).all(), "coarser labels agree less"


def test_contours_and_energies(labels, got):
    for i, label in enumerate(labels):
        length = float(annotation.perimeter(annotation.fill_void(label), 7).sum() / 2)
        assert np.isclose(got.density[i], length / 65**2 * 65)
        planes = (label[None] == torch.arange(7)[:, None, None]).double()
        rims = rim_power(planes)
        for j, size in enumerate(got.lrg_sizes):
            nu_max = (size - 1) // 2
            assert np.isclose(got.beyond[j, i], float(rims[nu_max + 1 :].sum() / rims[1:].sum()))
    assert (np.diff(got.beyond, axis=0) > 0).all()


def test_void_counts_nowhere_and_nothing_is_an_error():
    label = torch.zeros(1, 9, 9, dtype=torch.long)
    label[:, 3:] = 255
    counts = study.label_counts([(None, label, ("a",))], 2, (9, 3)).counts
    assert counts[:, :, 0, 0, 1].tolist() == [[27, 27]] * 4 and counts[..., 1, :].sum() == 0
    with pytest.raises(ValueError, match="at least one picture"):
        study.label_counts([], 2, (9,))


def test_a_colour_tells_its_class():
    model = colour.ColourHistogram(2)
    red, blue = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])
    images = torch.stack([red] * 5 + [blue] * 3, 1).view(1, 3, 1, 8)
    # red is class 0 three times and class 1 twice: more often 0, but the larger share of class 1
    model.add(images, torch.tensor([[[0, 0, 0, 1, 1, 0, 0, 255]]]))
    said = model.predict(images[..., :6])
    assert said["as counted"].flatten().tolist() == [0, 0, 0, 0, 0, 0]
    assert said["equal priors"].flatten().tolist() == [1, 1, 1, 1, 1, 0]
    assert int(model.counts.sum()) == 7


def test_an_unseen_colour_goes_to_the_most_frequent_class():
    model = colour.ColourHistogram(3)
    model.add(torch.zeros(1, 3, 1, 4), torch.tensor([[[2, 2, 2, 1]]]))
    assert model.predict(torch.full((1, 3, 1, 1), 0.8))["as counted"].item() == 2
