"""The classifier by colour alone."""

import torch

from specseg.nets import colour


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
