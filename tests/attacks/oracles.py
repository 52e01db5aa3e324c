# SPDX-License-Identifier: Apache-2.0
"""ART, Foolbox and torchattacks behind one signature, to compare our attacks with.

Every adapter takes `(module, x, y)`: a module from float32 (N, C, H, W) shares in [0, 1] to logits (N, 10),
the images and their int64 labels, and keyword arguments: `targets` (int64 labels to reach; without them the
attack is untargeted), `seed`, `batch_size` for ART, and the library's own parameters under the library's own
names. It returns the adversarial images, float32 of the same shape, in [0, 1]. Images whose attack failed
come back as the library leaves them: judge success with the module, not with the library.
"""

import contextlib
import io
import logging
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

CLASSES = 10
Adapter = Callable[..., np.ndarray]


class Counted(nn.Module):
    """A module that counts the images it is asked about: `forwards`, and `gradients` among them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.forwards = 0
        self.gradients = 0
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forwards += len(x)
        y = self.module(x)
        if y.requires_grad:
            y.register_hook(self._count_gradient)
        return y

    def _count_gradient(self, gradient: torch.Tensor) -> None:
        self.gradients += len(gradient)


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeds of every generator the libraries draw from; GeoDA's file goes to a folder of no use. A library is
    imported before: that may draw too.

    ART's Boundary and HopSkipJump draw their first points from a RandomState without a seed, one an image:
    here it gets one from the seeded generator.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    folder, unseeded = os.getcwd(), np.random.RandomState

    def seeded(given: int | None = None) -> np.random.RandomState:
        return unseeded(np.random.randint(2**31) if given is None else given)

    with (
        tempfile.TemporaryDirectory() as scratch,
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(np.random, "RandomState", seeded),
    ):
        os.chdir(scratch)
        try:
            yield
        finally:
            os.chdir(folder)


def art_classifier(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """ART's view of the module; `shape` is one image's."""
    # ART logs a warning a batch when an attack fails.
    logging.getLogger("art").setLevel(logging.ERROR)
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        module.eval(), nn.CrossEntropyLoss(), shape, CLASSES, clip_values=(0.0, 1.0), device_type="cpu"
    )


def art(
    name: str,
    module: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    seed: int = 0,
    batch_size: int = 200,
    start: np.ndarray | None = None,
    **parameters: Any,
) -> np.ndarray:
    """The evasion attack of that name; `start` are the images a targeted decision attack begins from."""
    import inspect

    from art.attacks import evasion

    with _repeatable(seed):
        attack_class = getattr(evasion, name)
        accepted = inspect.signature(attack_class.__init__).parameters
        parameters["batch_size"] = batch_size
        if "verbose" in accepted:
            parameters["verbose"] = False
        if "targeted" in accepted:
            parameters["targeted"] = targets is not None
        attack = attack_class(art_classifier(module, x.shape[1:]), **parameters)
        labels = np.eye(CLASSES, dtype=np.float32)[y if targets is None else targets]
        extra = {} if start is None else {"x_adv_init": start.copy()}
        return np.clip(attack.generate(x=x.copy(), y=labels, **extra), 0, 1).astype(np.float32)


def foolbox(
    name: str,
    module: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    seed: int = 0,
    epsilon: float | None = None,
    start: np.ndarray | None = None,
    **parameters: Any,
) -> np.ndarray:
    """The attack of that name; `epsilon` only for attacks with a fixed budget."""
    import foolbox as library

    with _repeatable(seed):
        model = library.PyTorchModel(module.eval(), bounds=(0, 1), device="cpu")
        criterion = (
            library.criteria.Misclassification(torch.from_numpy(y))
            if targets is None
            else library.criteria.TargetedMisclassification(torch.from_numpy(targets))
        )
        attack = getattr(library.attacks, name)(**parameters)
        extra = {} if start is None else {"starting_points": torch.from_numpy(start)}
        _, clipped, _ = attack(model, torch.from_numpy(x), criterion, epsilons=epsilon, **extra)
        return clipped.detach().numpy().astype(np.float32)


def torchattacks(
    name: str,
    module: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    seed: int = 0,
    **parameters: Any,
) -> np.ndarray:
    """The attack of that name. Those with a `seed` of their own get it as well."""
    import inspect

    import torchattacks as library

    with _repeatable(seed):
        attack_class = getattr(library, name)
        if "seed" in inspect.signature(attack_class.__init__).parameters:
            parameters["seed"] = seed
        # Its attacks put back the mode that they found: in training mode the batch norms would move.
        attack = attack_class(module.eval(), **parameters)
        labels = torch.from_numpy(y)
        if targets is not None:
            attack.set_mode_targeted_by_function(lambda _images, _labels: torch.from_numpy(targets))
        return attack(torch.from_numpy(x), labels).detach().numpy().astype(np.float32)


art_fgsm: Adapter = partial(art, "FastGradientMethod")
art_pgd: Adapter = partial(art, "ProjectedGradientDescentPyTorch")
art_apgd: Adapter = partial(art, "AutoProjectedGradientDescent")
art_square: Adapter = partial(art, "SquareAttack")
art_auto: Adapter = partial(art, "AutoAttack")
art_deepfool: Adapter = partial(art, "DeepFool")
art_jsma: Adapter = partial(art, "SaliencyMapMethod")
art_carlini_l2: Adapter = partial(art, "CarliniL2Method")
art_carlini_linf: Adapter = partial(art, "CarliniLInfMethod")
art_ead: Adapter = partial(art, "ElasticNet")
art_zoo: Adapter = partial(art, "ZooAttack")
art_boundary: Adapter = partial(art, "BoundaryAttack")
art_geoda: Adapter = partial(art, "GeoDA")
art_hop_skip_jump: Adapter = partial(art, "HopSkipJump")

foolbox_fgsm_linf: Adapter = partial(foolbox, "LinfFastGradientAttack")
foolbox_pgd_linf: Adapter = partial(foolbox, "LinfProjectedGradientDescentAttack")
foolbox_pgd_l2: Adapter = partial(foolbox, "L2ProjectedGradientDescentAttack")
foolbox_deepfool: Adapter = partial(foolbox, "L2DeepFoolAttack")
foolbox_carlini_l2: Adapter = partial(foolbox, "L2CarliniWagnerAttack")
foolbox_ead: Adapter = partial(foolbox, "EADAttack")
foolbox_boundary: Adapter = partial(foolbox, "BoundaryAttack")
foolbox_hop_skip_jump: Adapter = partial(foolbox, "HopSkipJumpAttack")

torchattacks_fgsm: Adapter = partial(torchattacks, "FGSM")
torchattacks_pgd_linf: Adapter = partial(torchattacks, "PGD")
torchattacks_pgd_l2: Adapter = partial(torchattacks, "PGDL2")
torchattacks_apgd: Adapter = partial(torchattacks, "APGD")
torchattacks_apgd_targeted: Adapter = partial(torchattacks, "APGDT")
torchattacks_fab: Adapter = partial(torchattacks, "FAB")
torchattacks_square: Adapter = partial(torchattacks, "Square")
torchattacks_auto: Adapter = partial(torchattacks, "AutoAttack")
torchattacks_deepfool: Adapter = partial(torchattacks, "DeepFool")
torchattacks_carlini_l2: Adapter = partial(torchattacks, "CW")
