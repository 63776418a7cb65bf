"""Model files that earlier versions wrote load for ever, and write the same text."""

from pathlib import Path

import pytest

import charrnn

FILES = Path(__file__).parent / "old_files"
WRITTEN = {
    "char": 'isvonxsvfI\téd!howcoD!:xd\tvrrfgDx"co";xn,',
    "word": "xuvrmwtvb:\néDon't brancheswDon'ts\" branch",
    "bpe": "w crowïu sa srowia 'te n t saf the; : fi",
    "byte": 'hturmutueI\nva!fsuas;!,vc\nuttde;u!Ts!.uo"',
}


@pytest.mark.parametrize("level", WRITTEN)
def test_same_text(level: str) -> None:
    """A file of format 1 writes, with the same random seed, what it wrote when it was made."""
    model = charrnn.load(FILES / f"{level}.safetensors")
    assert model.file.tokenizer.level == level
    text = "".join(model.generate("The naïve fo", 40, temperature=1, random_seed=3))
    assert text == WRITTEN[level]
    assert model.file.tokenizer.decode(model.file.tokenizer.encode(text + "猫")) == text + "猫"
