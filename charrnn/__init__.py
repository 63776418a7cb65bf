"""Text generation and autocomplete with recurrent language models.

import charrnn
model = charrnn.load("runs/fables")
for text in model.generate("The fox", length=200): print(text, end="")
model.complete("The little fo")     # [Completion(text='x', p=0.93), ...]
model.score("The end.")
"""

TYPE_CHECKING = False  # `typing` imports slowly; Ctrl-C meanwhile would show a traceback
if TYPE_CHECKING:
    from charrnn.model import Model, load

__all__ = ["Model", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Imported on demand: `charrnn --help` does not wait for NumPy.
    if name in __all__:
        from charrnn import model

        return getattr(model, name)
    raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
