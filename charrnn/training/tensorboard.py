"""Writes events for TensorBoard, with its own library (the extra `tensorboard`).

Raises:
    UsageError: on import, if that library is not installed.
"""

from contextlib import suppress
from pathlib import Path

from charrnn.errors import UsageError
from charrnn.events import Event, Sample, Step, Validation
from charrnn.files import spelled

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    raise UsageError(
        "--tensorboard needs the package tensorboard", "pip install tensorboard"
    ) from None


class Board:
    """Writes event files.

    Args:
        folder: an existing folder.

    Raises:
        UsageError: the folder's name is not valid Unicode, so that the library cannot write there.
    """

    def __init__(self, folder: Path) -> None:
        if spelled(folder) != str(folder):
            raise UsageError(
                f"--tensorboard cannot write into {spelled(folder)}: its name is not valid Unicode",
                "choose another folder with -o",
            )
        self._writer = SummaryWriter(str(folder))

    def show(self, event: Event) -> None:
        """Write an event; those of other kinds than steps, validations and samples are left out."""
        with suppress(OSError):  # a full disk ends the event file, not the training
            match event:
                case Step():
                    self._add("loss/train", event.loss, event.step)
                    self._add("rate", event.lr, event.step)
                    self._add("gradient/norm", event.norm, event.step)
                    self._add("gradient/clipped", event.clipped, event.step)
                case Validation():
                    self._add("loss/held out", event.val_nats, event.step)
                case Sample():
                    # Indented text is shown as it is, not rendered as Markdown.
                    text = "".join(f"    {line}\n" for line in event.text.splitlines())
                    self._writer.add_text("sample", text, event.step)

    def _add(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered and close the file."""
        with suppress(OSError):
            self._writer.close()
