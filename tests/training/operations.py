"""Watches the operations that torch calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Operations(TorchDispatchMode):
    """Passes each operation to `call`, which makes it; to be derived from."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        function: Any,
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.call(function, arguments, options or {})

    def call(self, function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Make an operation and return its results."""
        return function(*arguments, **options)
