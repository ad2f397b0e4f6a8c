"""A rival that sees each pixel's colour alone: what a network must beat before it counts as trained."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 16


class ColourHistogram:
    """Class counts per colour (16 x 16 x 16 bins); as a predictor of each pixel by its own colour.

    >>> rival = ColourHistogram(2)
    >>> rival.add(torch.zeros(1, 3, 1, 2), torch.tensor([[[1, 255]]]))
    >>> rival.predict(torch.zeros(1, 3, 1, 1))["as counted"].tolist()
    [[[1]]]
    """

    def __init__(self, num_classes: int):
        self.counts = torch.zeros(num_classes, BINS**3, dtype=torch.int64)

    @staticmethod
    def bins(images: Tensor) -> Tensor:
        """Return the colour bin of each pixel of images (B, 3, h, w) in [0, 1]."""
        r, g, b = (images * BINS).long().clamp(max=BINS - 1).unbind(1)
        return (r * BINS + g) * BINS + b

    def add(self, images: Tensor, labels: Tensor, *, ignore_index: int = 255) -> None:
        """Count a batch of labels (B, h, w); void is left out."""
        seen = labels != ignore_index
        flat = labels[seen] * BINS**3 + self.bins(images)[seen]
        self.counts += torch.bincount(flat, minlength=self.counts.numel()).view_as(self.counts)

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Return each pixel's most frequent class, "as counted" and with "equal priors" of the classes.

        A colour that was never seen gets the class that is most frequent over all colours.
        """
        totals = self.counts.sum(1, keepdim=True)
        unseen = 1e-6 * totals / totals.sum().clamp(min=1)
        at = self.bins(images)
        return {
            "as counted": (self.counts + unseen).argmax(0)[at],
            "equal priors": (self.counts / totals.clamp(min=1) + 1e-6 * unseen).argmax(0)[at],
        }
