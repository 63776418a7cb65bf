"""How the matrices of recurrent layers begin: INITIALISATIONS.

To add one: a function, and a row in the table.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Fills one gate's block of a matrix, float32 [H, inputs], in place.
Fill = Callable[[Tensor, torch.Generator], None]


class Initialisation(NamedTuple):
    """How each gate's block of a recurrent layer's matrices is filled.

    Attributes:
        inputs: fills the matrix of the layer's inputs.
        recurrent: fills the recurrent matrix.
    """

    inputs: Fill
    recurrent: Fill


def orthogonal(block: Tensor, generator: torch.Generator) -> None:
    """Fill with a random matrix whose singular values are all 1.

    Saxe et al. 2013, arXiv:1312.6120: signals and gradients keep their norm.
    """
    nn.init.orthogonal_(block, generator=generator)


def identity(block: Tensor, _: torch.Generator) -> None:
    """Fill with the identity.

    Le et al. 2015, arXiv:1504.00941: a unit begins by keeping its value.
    """
    nn.init.eye_(block)


def uniform(block: Tensor, generator: torch.Generator) -> None:
    """Fill with values between -1 / sqrt(H) and 1 / sqrt(H), as torch's recurrent layers do.

    The heuristic that Glorot & Bengio 2010 start from: singular values of at most about 1.2.
    """
    bound = block.size(0) ** -0.5
    nn.init.uniform_(block, -bound, bound, generator=generator)


def normal(block: Tensor, generator: torch.Generator) -> None:
    """Fill with normal values of variance 1 / inputs.

    LeCun et al. 1998, Efficient BackProp: a sum of inputs of variance 1 has variance 1. Singular
    values go from 0 to about 2.
    """
    nn.init.normal_(block, std=block.size(1) ** -0.5, generator=generator)


# The initialisations by their name in --init.
INITIALISATIONS = {
    "orthogonal": Initialisation(orthogonal, orthogonal),
    "identity": Initialisation(orthogonal, identity),
    "uniform": Initialisation(uniform, uniform),
    "normal": Initialisation(normal, normal),
}
