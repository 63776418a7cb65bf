"""Model files that earlier versions wrote load for ever, and write the same text."""

from pathlib import Path

import pytest

import charrnn

FILES = Path(__file__).parent / "old_files"
WRITTEN = {
    "char4": 'rtunhvtug.\txT itvbr.\n"wI\ntrsdd.v br .wm!',
    "char3": 'rtunhvtug.\txT itvbr.\n"wI\ntrsdd.v br .wm!',
    "char2": 'hvwtnwvwfD\tïb huwau. .xe\twuuef:x!bt .xs"',
    "char": 'isvonxsvfI\téd!howcoD!:xd\tvrrfgDx"co";xn,',
    "word": "xuvrmwtvb:\néDon't brancheswDon'ts\" branch",
    "bpe": "w crowïu sa srowia 'te n t saf the; : fi",
    "byte": 'hturmutueI\nva!fsuas;!,vc\nuttde;u!Ts!.uo"',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_same_text(name: str) -> None:
    """A file of format 1, 2, 3 or 4 writes with the same seed what it wrote when it was made."""
    model = charrnn.load(FILES / f"{name}.safetensors")
    assert model.file.tokenizer.level == name.rstrip("234")
    text = "".join(model.generate("The naïve fo", 40, temperature=1, min_p=None, random_seed=3))
    assert text == WRITTEN[name]
    assert model.file.tokenizer.decode(model.file.tokenizer.encode(text + "猫")) == text + "猫"


def test_same_suggestions() -> None:
    """A file's trigrams and weights of suggestions give what they gave when it was made."""
    (first,) = charrnn.load(FILES / "char2.safetensors").complete("The f", 1)
    assert first.text == "w"
    assert first.p == pytest.approx(0.05235, abs=1e-4)
