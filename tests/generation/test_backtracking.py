"""Text that keeps away from copying runs of words."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from charrnn.config import SamplingConfig, StopConfig
from charrnn.errors import ModelFileError
from charrnn.generation.sample import Sample
from charrnn.model import Model
from charrnn.text.copy_index import WordRuns

Write = Callable[..., list[str]]


@pytest.fixture
def write(model: Model) -> Write:
    """Writes three texts and looks how new each one is."""

    def write(index: WordRuns | None = None, **sampling: float) -> list[str]:
        samples = [Sample("The fox", SamplingConfig(**sampling), (0, i)) for i in range(3)]  # type: ignore[arg-type]
        written = dict.fromkeys(samples, "")
        guarded = Model(replace(model.file, word_runs=index))
        parts = guarded.write(samples, StopConfig(chars=400), 0, avoid_copying=index is not None)
        for part in parts:
            written[part.sample] += part.text
        return [*written.values()]

    return write


class TestAvoidCopying:
    @pytest.mark.parametrize(
        "sampling",
        [
            {},
            {"temperature": 0.0},
            {"no_repeat_ngram": 3, "frequency_penalty": 0.1},
            {"mirostat": 3},
        ],
        ids=str,
    )
    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["char", "word"], indirect=True)
    def test_avoids(self, write: Write, sampling: dict[str, float]) -> None:
        """No run of the text that is to be avoided is written, and the length stays as asked."""
        copied, *_ = write(**sampling)
        index = WordRuns.build([copied])
        if not sampling:
            assert index.novelty(copied) == 0  # or there would be nothing to avoid
        for text in write(index, **sampling):
            assert index.novelty(text) in (1, None)
            assert len(text) >= 400

    def test_only_where_needed(self, write: Write) -> None:
        """A text that copies nothing stays as it would be, whatever is written beside it."""
        copied, *others = write()
        avoiding, *same = write(WordRuns.build([copied]))
        assert same == others
        assert avoiding != copied
        # It is the same up to the word before the eighth.
        assert avoiding[: len(copied) // 20] == copied[: len(copied) // 20]

    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["char", "word"], indirect=True)
    def test_hopeless(self, write: Write) -> None:
        """If every continuation is a copy, the text continues anyway."""
        index = WordRuns(np.full(8, 255, np.uint8), 1)
        assert all(len(text) >= 400 for text in write(index))

    def test_old_file(self, model: Model) -> None:
        """A model that does not know its text cannot keep away from it, and says so."""
        with pytest.raises(ModelFileError, match="training text"):
            model.write([Sample("The")], StopConfig(chars=9), avoid_copying=True)
