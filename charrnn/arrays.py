"""Types of arrays, and units of information; imports nothing of charrnn."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Ids = NDArray[np.int32]  # of tokens
Mask = NDArray[np.bool_]

LN2 = math.log(2)  # nats in a bit


def bits(nats: float) -> float:
    """Return an amount of information in bits."""
    return nats / LN2
