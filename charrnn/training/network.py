"""The stacked recurrent network as a torch module, with weights named as in a model file."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from charrnn.config import ModelConfig
from charrnn.network.cells import CELLS, Cell
from charrnn.training.initialisation import INITIALISATIONS

RECURRENT = "weight_hh_l0"  # torch's name of a layer's recurrent weights
LAYER_PARAMETERS = {  # names in a model file and in a torch layer
    "input": "weight_ih_l0",
    "recurrent": RECURRENT,
    "input_bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}

State = list[Tensor]  # for each layer, the cell's S states, float32 [S, B, H]


def _layer(cell: Cell, inputs: int, hidden: int) -> nn.RNNBase:
    layer: nn.RNNBase = getattr(nn, cell.torch)(inputs, hidden, **cell.torch_options)
    return layer


class Dropout(NamedTuple):
    """Dropout probabilities while training.

    Attributes:
        outputs: dropout of each layer's outputs.
        inputs: dropout of the first layer's inputs.
        tokens: dropout of whole token embeddings; one mask for all of a window.
        recurrent: dropout of each layer's recurrent weights; one mask for all of a window.
        variational: whether outputs and inputs too keep one mask for all of a window
            (Gal & Ghahramani 2016, arXiv:1512.05287).
    """

    outputs: float = 0.0
    inputs: float = 0.0
    tokens: float = 0.0
    recurrent: float = 0.0
    variational: bool = False


# Weights of the logits of the network and of the n-grams, until the first validation fits them.
MIX = (0.5, 0.5)
NO_DROPOUT = Dropout()  # all probabilities are 0


class Network(nn.Module):
    """Embedding, L recurrent layers with dropout before, in and after each, and a linear output.

    Args:
        config: sizes and cell.
        generator: samples the initial weights.
        dropout: dropout probabilities while training.
        init: a key of INITIALISATIONS, or `auto` for the cell's own.
        scale: factor of the initial recurrent matrices.

    Attributes:
        dropout_generator: samples the dropout masks, on the network's device; `generator` until it
            is replaced.
    """

    def __init__(
        self,
        config: ModelConfig,
        generator: torch.Generator,
        dropout: Dropout = NO_DROPOUT,
        init: str = "auto",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.dropout = dropout
        self.dropout_generator = generator
        self.embedding = nn.Embedding(config.vocab_size, config.embedding)
        sizes = [config.embedding] + [config.hidden] * config.layers
        self.layers = nn.ModuleList(
            _layer(CELLS[config.cell], inputs, config.hidden) for inputs in sizes[:-1]
        )
        self.output = nn.Linear(config.hidden, config.vocab_size)
        if config.tied:
            self.output.weight = self.embedding.weight
        if config.ngram_order:
            mix = torch.tensor(MIX).repeat(config.ngram_order, 1)
            self.mix = nn.Parameter(mix, requires_grad=False)
        self._initialise(generator, init, scale)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator, init: str, scale: float) -> None:
        """Fill gate matrices by their initialisation, and open forget gates."""
        hidden, cell = self.config.hidden, CELLS[self.config.cell]
        initialisation = INITIALISATIONS[cell.init if init == "auto" else init]
        for name, parameter in self.parameters_by_name().items():
            if name == "embedding" and not self.config.tied:
                nn.init.normal_(parameter, std=0.5, generator=generator)
            elif name in ("embedding", "output"):
                nn.init.normal_(parameter, std=hidden**-0.5, generator=generator)
            elif name == "mix":
                pass
            elif parameter.ndim == 1:
                nn.init.zeros_(parameter)
                if cell.open_gate is not None and name.endswith("input_bias"):
                    parameter.view(-1, hidden)[cell.open_gate] = 1.0
            else:
                recurrent = name.endswith("recurrent")
                fill = initialisation.recurrent if recurrent else initialisation.inputs
                for block in parameter.view(-1, hidden, parameter.size(1)):
                    fill(block, generator)
                if recurrent and scale != 1:
                    parameter.mul_(scale)

    @torch.no_grad()
    def expect(self, counts: Tensor) -> None:
        """Set the output bias to the tokens' log-frequencies, so that they need not be learned.

        Args:
            counts: number of occurrences of each token in the training text, [V].
        """
        seen = counts.float() + 1  # a token that does not occur is rare, not impossible
        self.output.bias.copy_((seen / seen.sum()).log())

    def _rnns(self) -> list[nn.RNNBase]:
        return [cast(nn.RNNBase, layer) for layer in self.layers]

    def zero_state(self, batch: int) -> State:
        """Return the state before any token, for `batch` streams."""
        states = CELLS[self.config.cell].states
        weight = self.output.weight
        shape = (states, batch, self.config.hidden)
        return [torch.zeros(shape, device=weight.device, dtype=weight.dtype) for _ in self.layers]

    def forward(self, ids_tb: Tensor, state: State) -> tuple[Tensor, State]:
        """Read T tokens of each of B streams.

        Args:
            ids_tb: token ids, int64 [T, B].
            state: from `zero_state` or an earlier call.

        Returns:
            Logits, float32 [T, B, V], and the state after the last token.
        """
        x, after = self.read(ids_tb, state)
        return self.output(x), after

    def mixed(self, logits: Tensor, ngrams: Tensor, known: Tensor) -> Tensor:
        """Return logits mixed with n-grams.

        Args:
            logits: the network's logits, float32 [N, V].
            ngrams: the n-grams' log-probabilities, [N, V].
            known: length of the longest known context, [N].
        """
        weights = self.mix[known]
        return torch.addcmul(logits * weights[:, :1], ngrams, weights[:, 1:])

    def read(self, ids_tb: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the last recurrent layer's outputs, float32 [T, B, H], and the state after them.

        The arguments are those of `forward`.
        """
        same = self.dropout.variational
        x = self.embedding(ids_tb)
        if self.dropout.tokens:
            x = x * self._drop(x.new_ones(self.config.vocab_size, 1), self.dropout.tokens)[ids_tb]
        x = self._drop(x, self.dropout.inputs, same)
        after: State = []
        for layer, before in zip(self._rnns(), state, strict=True):
            weights = {
                RECURRENT: self._drop(layer.get_parameter(RECURRENT), self.dropout.recurrent)
            }
            if isinstance(layer, nn.LSTM):
                memory = before[:1].contiguous(), before[1:].contiguous()
                x, (hidden, cell) = functional_call(layer, weights, (x, memory))
                after.append(torch.cat((hidden, cell)))
            else:
                x, hidden = functional_call(layer, weights, (x, before))
                after.append(hidden)
            x = self._drop(x, self.dropout.outputs, same)
        return x, after

    def _drop(self, x: Tensor, share: float, same: bool = False) -> Tensor:
        """Apply dropout while training; with `same`, one mask for all of the first axis."""
        if not self.training or share == 0:
            return x
        mask = torch.empty_like(x[:1] if same else x)
        mask.bernoulli_(1 - share, generator=self.dropout_generator)
        return x * mask.div_(1 - share)

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """Return the parameters by name in a model file, in the order of cells.tensor_shapes."""
        named = {"embedding": self.get_parameter("embedding.weight")}
        for i, layer in enumerate(self._rnns()):
            named |= {
                f"layers.{i}.{name}": layer.get_parameter(torch_name)
                for name, torch_name in LAYER_PARAMETERS.items()
            }
        if not self.config.tied:
            named["output"] = self.get_parameter("output.weight")
        if self.config.ngram_order:
            named["mix"] = self.mix
        return named | {"output_bias": self.get_parameter("output.bias")}

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Copy weights named as by `parameters_by_name` into the network."""
        for name, parameter in self.parameters_by_name().items():
            parameter.copy_(weights[name])
