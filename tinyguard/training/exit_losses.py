# SPDX-License-Identifier: Apache-2.0
"""The loss terms of multi-exit training, NEO-KD's and its baselines', of logits (N, exits, classes).

Source: Ham et al., "NEO-KD: Knowledge-Distillation-Based Adversarial Training for Robust Multi-Exit Neural
Networks" (NeurIPS 2023, arXiv 2311.00428). No code of the paper was released; where its prose leaves a
choice, the docstring says that it is ours. Every term is one number an exit, float32 (exits,), the mean over
samples.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from tinyguard.errors import TinyguardError


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (N, exits, classes) against probabilities of that shape, (exits,)."""
    return -(target * logits.log_softmax(-1)).sum(-1).mean(0)


def label_cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (N, exits, classes) against labels (N,), (exits,)."""
    return soft_cross_entropy(logits, functional.one_hot(y, logits.shape[-1]).to(logits.dtype)[:, None])


def neighbour_distillation(clean: torch.Tensor, adversarial: torch.Tensor) -> torch.Tensor:
    """NKD: adversarial exit i against the mean of the clean probabilities of exits i-1, i and i+1, detached.

    That the first and the last exit have the mean of the two that exist is our reading.
    """
    p = clean.detach().softmax(-1)
    exits = p.shape[1]
    groups = [p[:, max(0, i - 1) : min(exits, i + 2)].mean(1) for i in range(exits)]
    return soft_cross_entropy(adversarial, torch.stack(groups, 1))


def orthogonal_distillation(
    clean: torch.Tensor, adversarial: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """EOKD: adversarial exit i against its own clean probabilities, detached, of the classes `kept` alone,
    bool (N, exits, classes), which sum to one again.

    That this is a softmax over the kept logits, so that it is defined where their mass is nearly zero, is
    ours.
    """
    target = clean.detach().masked_fill(~kept, -torch.inf).softmax(-1)
    return soft_cross_entropy(adversarial, target)


def orthogonal_classes(y: torch.Tensor, exits: int, classes: int, generator: torch.Generator) -> torch.Tensor:
    """What each exit's EOKD keeps, bool (N, exits, classes): the label and floor((C - 1) / L) other classes.

    The others are drawn for every sample anew and are disjoint over exits; a sample's draw depends on the
    generator and its place alone, not on how many samples follow. Raises TinyguardError where not one other
    class is left for each exit.
    """
    share = (classes - 1) // exits
    if share < 1:
        raise TinyguardError(
            f"neo-kd keeps one other class or more at each exit, and {exits} exits share {classes - 1}: "
            "type --recipe exits-at"
        )
    keys = torch.rand(len(y), classes, generator=generator)
    rows = torch.arange(len(y))
    keys[rows, y] = 2.0  # last of all
    order = keys.argsort(1)
    kept = torch.zeros(len(y), exits, classes, dtype=torch.bool)
    for place in range(exits):
        kept[:, place].scatter_(1, order[:, place * share : (place + 1) * share], True)
    kept[rows, :, y] = True
    return kept


def last_exit_distillation(clean: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Exits before the last, of `student` logits, against the clean probabilities of the last, detached:
    SKD (Phuong and Lampert 2019) where `student` is clean, ARD (Goldblum et al. 2020, arXiv 1905.09747) where
    it is adversarial. (exits - 1,)."""
    target = clean[:, -1:].detach().softmax(-1)
    return soft_cross_entropy(student[:, :-1], target)
