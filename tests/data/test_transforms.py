"""Frames and batches: image and label stay together, no void enters the main frame, workers change nothing."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import datasets, loading, transforms
from specseg.data.datasets import VOID, DataSet, Sample
from specseg.data.samples import Windows
from specseg.nets.networks import Network


def marked(height: int, width: int, seed: int = 0, block: int = 8) -> Sample:
    """A sample whose image shows its label: red = 10 x class."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 20, (-(-height // block), -(-width // block)))
    label = label.repeat(block, 0).repeat(block, 1)[:height, :width]
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 10 * label
    return Sample(image, label.astype(np.int64), f"{height}x{width}")


class Few(DataSet):
    def __init__(self, count: int = 7) -> None:
        super().__init__(
            "few", "train", [str(k) for k in range(count)], count, [str(k) for k in range(20)], np.zeros((20, 3))
        )

    def image(self, index: int) -> np.ndarray:
        return marked(80 + index, 100, index).image

    def label(self, index: int) -> np.ndarray:
        return marked(80 + index, 100, index).label


def agreement(image: np.ndarray, label: np.ndarray) -> float:
    """Share of pixels whose colour is their class's (edges are blurred by scaling)."""
    known = label != VOID
    return float(np.mean(np.abs(image[..., 0][known].astype(int) - 10 * label[known]) <= 2))


@given(st.integers(20, 150), st.integers(20, 150), st.integers(0, 9), st.sampled_from(["frame", "native"]))
@settings(max_examples=40, deadline=None)
def test_training_keeps_image_and_label_together(height, width, seed, base):
    sample = marked(height, width, seed, block=32)
    torch.manual_seed(seed)
    image, mask = transforms.training(65, base=base)(transforms.to_pair(sample.image, sample.label))
    assert image.shape == (3, 65, 65) and mask.shape == (1, 65, 65) and image.dtype == mask.dtype == torch.uint8
    picture, label = image.permute(1, 2, 0).numpy(), mask[0].numpy().astype(int)
    assert set(np.unique(label)) <= set(np.unique(sample.label)) | {VOID}
    assert agreement(picture, label) > 0.4  # blocks of 32 shrink to 7 pixels at least: (5/7)^2; strangers agree in 0.05
    padding = label == VOID
    assert (picture[padding] == np.array(transforms.MEAN)).all()


def test_training_scales_between_its_limits_and_flips_half():
    """A ramp image tells the scale from its slope and the flip from its sign."""
    ramp = np.repeat(np.linspace(0, 255, 400, dtype=np.float32)[None], 300, 0).astype(np.uint8)
    pair = transforms.to_pair(np.repeat(ramp[..., None], 3, 2), np.zeros((300, 400), np.int64))
    transform, slopes = transforms.training(129), []
    torch.manual_seed(0)
    for _ in range(200):
        image, mask = transform(pair)
        row, known = image[0, 64].numpy().astype(float), mask[0, 64].numpy() == 0
        if known.sum() > 20:
            slopes.append(np.polyfit(np.nonzero(known)[0], row[known], 1)[0])
    scale = (255 / 399) / np.abs(slopes) / (129 / 300)  # relative to short side = 129
    assert 0.45 < scale.min() < 0.65 and 1.75 < scale.max() < 2.2
    assert 0.35 < np.mean(np.array(slopes) > 0) < 0.65


@pytest.mark.parametrize("height, width", [(65, 65), (64, 65), (200, 90), (90, 201), (66, 333)])
def test_evaluation_fills_the_frame_without_void(height, width):
    framed = transforms.frame(marked(height, width), 65)
    assert framed.image.shape == (65, 65, 3) and not (framed.label == VOID).any()
    assert agreement(framed.image, framed.label) > 0.3
    assert np.array_equal(framed.label, transforms.frame_label(marked(height, width).label, 65))


def test_evaluation_centre_is_the_centre():
    label = np.zeros((65, 265), np.int64)
    label[:, 132] = 1
    assert np.nonzero(transforms.frame_label(label, 65).any(0))[0].tolist() == [32]


def test_evaluation_at_the_short_side_is_a_plain_crop():
    sample = marked(65, 99)
    framed = transforms.frame(sample, 65)
    assert np.array_equal(framed.label, sample.label[:, 17:82]) and np.array_equal(framed.image, sample.image[:, 17:82])


def test_padded_frame_adds_void_at_the_end_and_crops_what_is_longer():
    sample = marked(40, 90)
    framed = transforms.frame(sample, 65, "padded")
    assert (framed.label[40:] == VOID).all() and (framed.image[40:] == np.array(transforms.MEAN)).all()
    assert np.array_equal(framed.label[:40], sample.label[:, 12:77])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: transforms.training(512), "size 512: expected 64k"),
        (lambda: transforms.evaluation(1), "size 1: expected 64k"),
        (lambda: transforms.evaluation(65, "pad"), "'pad': expected one of crop, padded"),
        (lambda: transforms.training(65, base="image"), "base 'image'"),
        (lambda: loading.step_items(0, count=7, batch=8, seed=0), "batch 8: expected 1 .. 7"),
    ],
)
def test_wrong_settings_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_same_step_is_the_same_batch_whatever_the_workers():
    alone = loading.draws(Few(), transforms.training(65), 3, seed=4)
    helped = loading.draws(Few(), transforms.training(65), 3, seed=4, workers=2)
    for step in (0, 1, 2, 5):
        (a, b), (c, d) = alone(step), helped(step)
        assert a.shape == (3, 3, 65, 65) and 0 <= a.min() and a.max() <= 1 and b.dtype == torch.int64
        assert torch.equal(a, c) and torch.equal(b, d)
    again = loading.draws(Few(), transforms.training(65), 3, seed=4)
    assert torch.equal(again(5)[0], alone(5)[0])
    assert not torch.equal(loading.draws(Few(), transforms.training(65), 3, seed=5)(0)[0], alone(0)[0])


def test_drawing_leaves_torchs_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    loading.draws(Few(), transforms.training(65), 3)(0)
    assert torch.equal(torch.rand(2), expected)


def test_an_epoch_shows_every_name_once_in_another_order():
    steps = partial(loading.step_items, count=7, batch=2, seed=1)
    first = [i for number in range(3) for i, _ in steps(number)]
    second = [i for number in range(3, 6) for i, _ in steps(number)]
    assert len(set(first)) == len(first) == 6 and first != second
    seeds = [s for number in range(6) for _, s in steps(number)]
    assert len(set(seeds)) == 12


def test_an_evaluation_goes_through_once_in_order():
    batches = list(loading.evaluation_batches(Few(5), transforms.evaluation(65), 2))
    assert [name for _, _, names in batches for name in names] == ["0", "1", "2", "3", "4"]
    assert batches[0][0].dtype == torch.uint8 and batches[0][1].dtype == torch.int64
    assert [len(labels) for _, labels, _ in batches] == [2, 2, 1]


def test_a_transform_free_item_is_the_sample():
    data = datasets.open("synthetic", "train", size=65, count=3)
    image, label, name = loading.TorchDataset(data)[1]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), data[1].image)
    assert np.array_equal(label.numpy(), data[1].label) and name == data[1].name
    assert type(image) is torch.Tensor and type(label) is torch.Tensor


FRAMES = """
import hashlib, numpy as np, torch
from specseg.data import transforms
from specseg.data.datasets import Sample
def frames():
    rng, digest = np.random.default_rng(0), hashlib.sha256()
    for height, width in ((90, 131), (61, 64), (65, 200)):
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        made = transforms.frame(Sample(image, np.zeros((height, width), np.int64), "a"), 65)
        torch.manual_seed(1)
        cropped, _ = transforms.training(65)(transforms.to_pair(image, np.zeros((height, width), np.uint8)))
        digest.update(made.image.tobytes() + np.ascontiguousarray(cropped.numpy()).tobytes())
    return torch.backends.cpu.get_cpu_capability(), digest.hexdigest()
"""


def test_a_frame_has_the_same_bytes_under_all_kernels_and_threads():
    """A picture's frame enters every measurement: a value that is off by one moves a network's logits by per cents."""
    here, before, found = {}, torch.get_num_threads(), []
    exec(FRAMES, here)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(here["frames"]())
    finally:
        torch.set_num_threads(before)
    env = os.environ | {"ATEN_CPU_CAPABILITY": "default"}  # kernels are chosen when a process begins
    code = f"{FRAMES}print(*frames())"
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    kernels, digest = run.stdout.split()
    assert kernels == "DEFAULT" and {d for _, d in found} == {digest}


def test_the_scaled_image_is_torchs_own_and_stays_an_image():
    image = np.random.default_rng(2).integers(0, 256, (40, 90, 3), np.uint8)
    pair = transforms.to_pair(image, np.zeros((40, 90), np.uint8))
    made, _ = transforms.evaluation(65)(pair)
    assert type(made).__name__ == "Image" and made.dtype == torch.uint8 and tuple(made.shape) == (3, 65, 65)
    wide = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(), (65, 146), mode="bilinear", antialias=True
    )[0, :, :, 40:105]
    assert (made.float() - wide).abs().max() <= 1.0, "whole numbers against floats: off by one at most"


def test_windows_are_the_whole_squares_of_the_stored_pixels():
    class Two(DataSet):
        def __init__(self):
            super().__init__("made", "all", ["a", "b"], 2, ("x", "y"), [[0, 0, 0], [1, 1, 1]])
            self.read = []

        def image(self, index):
            self.read.append(index)
            height, width = ((130, 200), (65, 65))[index]
            grid = np.arange(height)[:, None] + np.arange(width)[None]
            return np.repeat((grid % 251).astype(np.uint8)[..., None], 3, 2)

        def label(self, index):
            return (self.image(index)[..., 0] % 2).astype(np.int64)

    data = Two()
    windows = Windows(data, 65)
    assert windows.ids == ("a r0c0", "a r0c1", "a r0c2", "a r1c0", "a r1c1", "a r1c2", "b r0c0")
    for k, (r, c) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]):
        sample = windows[k]
        whole = data[0]
        assert (sample.image == whole.image[65 * r : 65 * r + 65, 65 * c : 65 * c + 65]).all()
        assert (sample.label == whole.label[65 * r : 65 * r + 65, 65 * c : 65 * c + 65]).all()
    data.read.clear()
    _ = [windows[k] for k in range(6)]
    assert len(data.read) <= 2, "one picture is decoded once, for its windows and their labels"
    with pytest.raises(ValueError, match="windows of 257' is empty"):
        Windows(data, 257)


def test_a_native_domain_trains_on_windows_of_its_stored_pixels():
    native = Network("dubai_native")
    assert native.home.native and native.home.kind == "land cover" and native.home.cluster("part_1t3 r0c2") == "t3"
    assert native.settings(54).steps == 900 and not Network("dubai").home.native


def test_pictures_are_enlarged_before_their_frame_is_cut():
    from specseg.data import transforms

    image = np.arange(80 * 40 * 3, dtype=np.uint8).reshape(80, 40, 3)
    label = np.repeat(np.repeat(np.arange(8).reshape(4, 2), 20, 0), 20, 1)
    pair = transforms.to_pair(image, label)
    large = transforms.enlarged(2, transforms.evaluation(65, "padded"))(pair)
    assert large[0].shape == (3, 65, 65) and large[1].shape == (1, 65, 65)
    doubled = label.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(large[1][0], doubled[47 : 47 + 65, 7 : 7 + 65])
    same = transforms.evaluation(65)
    assert transforms.enlarged(1, same) is same
