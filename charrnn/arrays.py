"""Array types and units of information; imports nothing of charrnn."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Ids = NDArray[np.int32]  # token ids
Nodes = NDArray[Any]  # n-gram contexts of each length, int32 or int64 [B, order]; -1 for none
Mask = NDArray[np.bool_]

LN2 = math.log(2)  # nats per bit


def bits(nats: float) -> float:
    """Convert an amount of information from nats to bits."""
    return nats / LN2
