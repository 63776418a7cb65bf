"""Time from the command to the first character: `charrnn generate` against the same in torch.

    python -m tests.benchmarks.cold_start [--runs 11]

Both read the same model file (2 x 256 LSTM, 62 characters), feed the same seed and print one
character; the clock stops when it arrives. The torch program is what a script on torch.nn does.
"""

import argparse
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from charrnn.config import ModelConfig
from charrnn.network.cells import tensor_shapes
from charrnn.network.model_file import ModelFile, save
from charrnn.tokenizer import CharTokenizer
from tests.benchmarks.figures import parse, tell, write

SEED = "The fox"
LAYERS, HIDDEN, EMBEDDING = 2, 256, 64

WITH_TORCH = f"""
import json, sys
import torch
from safetensors import safe_open
from safetensors.torch import load_file

path = sys.argv[1]
weights = load_file(path)
with safe_open(path, "pt") as file:
    tokens = json.loads(file.metadata()["charrnn"])["tokenizer"]["tokens"]
network = torch.nn.LSTM({EMBEDDING}, {HIDDEN}, {LAYERS})
names = dict(
    input="weight_ih", recurrent="weight_hh", input_bias="bias_ih", recurrent_bias="bias_hh"
)
network.load_state_dict({{
    f"{{theirs}}_l{{i}}": weights[f"layers.{{i}}.{{ours}}"]
    for i in range({LAYERS}) for ours, theirs in names.items()
}})
with torch.no_grad():
    ids = torch.tensor([tokens.index(c) for c in {SEED!r}])
    output, _ = network(weights["embedding"][ids])
    logits = weights["output"] @ output[-1] + weights["output_bias"]
    print(tokens[torch.multinomial(logits[:-1].softmax(0), 1).item()], flush=True)
"""


def first_character(command: list[str], skip: int) -> float:
    """Seconds until a command has written `skip` characters and one more."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        written = process.stdout.read(skip + 1)
        seconds = time.perf_counter() - began
        process.stdout.read()
    if process.returncode or len(written) <= skip:
        raise SystemExit(f"{command} failed")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=11)
    runs = parse(parser).runs
    tokenizer = CharTokenizer(sorted(set("\n !',-.:;?" + string.ascii_letters)))
    config = ModelConfig(tokenizer.vocab_size, "lstm", LAYERS, HIDDEN, EMBEDDING)
    rng = np.random.default_rng(0)
    weights = {
        n: rng.normal(0, 0.1, s).astype(np.float32) for n, s in tensor_shapes(config).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save(path, ModelFile(config, tokenizer, weights))
        model = str(path)
        commands = {
            "charrnn generate": (
                [sys.executable, "-m", "charrnn", "generate", SEED, "-m", model, "-n", "1"],
                len(SEED),
            ),
            "the same with torch": ([sys.executable, "-c", WITH_TORCH, model], 0),
            "import torch": ([sys.executable, "-c", "import torch; print('.')"], 0),
            "import numpy": ([sys.executable, "-c", "import numpy; print('.')"], 0),
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):  # in turn, so that a drift of the machine falls on all
            for name, (command, skip) in commands.items():
                seconds[name].append(first_character(command, skip))
                tell(f"{name}: {seconds[name][-1]:.3f} s")
    ours = seconds["charrnn generate"][1:]
    lines = ["| to the first character | median | min | max | ratio |", "| --- " * 5 + "|"]
    for name, values in seconds.items():
        counted = values[1:]  # the first fills the disk cache
        ratio = median(value / own for value, own in zip(counted, ours, strict=True))
        low, high = min(counted), max(counted)
        figures = f"{median(counted):.3f} s | {low:.3f} s | {high:.3f} s | {ratio:.2f}"
        lines.append(f"| {name} | {figures} |")
    write("cold_start", lines)


if __name__ == "__main__":
    main()
