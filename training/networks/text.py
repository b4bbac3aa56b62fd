"""A generator and a discriminator for strings.

G chooses one character after the other, from the noise and the characters before, by the Gumbel-softmax relaxation with
straight-through gradients as in tables; see `seedmint.training.networks.table`. The logits are the sum of two parts: a table of
the two characters before, and a recurrent network (GRU; Cho et al., 2014) of all characters before. Training starts with the
table of the n-grams of the data, and the discriminator teaches the rest. After the end of a string, all characters are ends, as
in the data. D is a residual convolutional network over the characters.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedmint.models.columns import END
from seedmint.training.datasets.table_encoding import TableEncoding
from seedmint.training.networks.table import TEMPERATURE, gumbel
from seedmint.training.recipes.networks import TextDiscriminator, TextGenerator

_KERNEL = 3
_NEGATIVE_SLOPE = 0.2
_MAX_TABLE = 1 << 20  # numbers of the table of n-grams
_SMOOTHING = 2.0  # strings' worth of shorter n-grams that are added to the counts of an n-gram


class TextG(nn.Module):
    """z -> characters, one after the other.

    Args:
        config: `width`, the size of the state of the recurrent network.
        encoding: The encoding of the strings.
        z_dim: Length of the noise of the network, without the noise of the choices.
        prior: `normal` or `uniform`.
    """

    end: Tensor

    def __init__(self, config: TextGenerator, encoding: TableEncoding, z_dim: int, prior: str) -> None:
        super().__init__()
        self.z_dim, self.prior = z_dim, prior
        self.length, self.slots = len(encoding.columns), encoding.columns[0].slots
        self.context = 2 if self.slots**3 <= _MAX_TABLE else 1
        self.start = nn.Linear(z_dim, config.width)
        self.cell = nn.GRUCell(self.slots + z_dim, config.width)
        self.output = nn.Linear(config.width, self.slots, bias=False)
        self.table = nn.Linear(self.slots**self.context, self.slots, bias=False)
        self.register_buffer("end", (torch.arange(self.slots) == END).float()[None], persistent=False)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.table.weight)

    def start_from(self, codes: Tensor) -> None:
        """Set the table to the logarithms of the smoothed shares of the n-grams of the data.

        Args:
            codes: [n, length], the training data.
        """
        slots = self.slots
        codes = codes.to(torch.int64)
        before = functional.pad(codes, (2, 0), value=END)
        is_open = torch.cumprod(functional.pad((codes != END).to(torch.int64), (1, 0), value=1), dim=1)[:, :-1] == 1
        shares = torch.full((1, slots), 1 / slots, dtype=torch.float64)
        for n in range(self.context + 1):
            context = torch.zeros_like(codes)
            for position in range(2 - n, 2):
                context = context * slots + before[:, position : position + codes.shape[1]]
            counts = torch.bincount((context * slots + codes)[is_open], minlength=slots ** (n + 1)).view(-1, slots)
            # The context of an n-gram is a further character before the context of the shorter n-gram.
            prior = shares if n == 0 else shares.repeat(slots, 1)
            added = counts + _SMOOTHING * prior
            shares = added / added.sum(dim=1, keepdim=True)
        with torch.no_grad():
            self.table.weight.copy_(shares.log().T)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map noise, float32[m, z_dim + length * slots], to one-hot vectors, float32[m, length * slots], without labels."""
        base = z[:, : self.z_dim]
        noise = gumbel(z[:, self.z_dim :], self.prior).view(-1, self.length, self.slots)
        state = torch.tanh(self.start(base))
        end = self.end.to(z.dtype)
        is_open = torch.ones_like(z[:, :1])
        before = character = is_open * end
        found = []
        for position in range(self.length):
            state = self.cell(torch.cat([character, base], dim=1), state)
            pair = character if self.context == 1 else (before[:, :, None] * character[:, None]).flatten(1)
            logits = self.output(state) + self.table(pair)
            before, character = character, self._choose(logits.float() + noise[:, position]).to(z.dtype)
            found.append(is_open * character + (1 - is_open) * end)
            is_open = is_open * (1 - character[:, END : END + 1])
        return torch.cat(found, dim=1)

    def _choose(self, scores: Tensor) -> Tensor:
        """Return the one-hot vectors of the largest scores, float32[m, slots]."""
        slots = torch.arange(self.slots, device=scores.device)
        hard = (slots == scores.argmax(dim=1, keepdim=True)).to(scores.dtype)
        if self.training:
            soft = torch.softmax(scores / TEMPERATURE, dim=1)
            hard = hard - soft.detach() + soft
        return hard


class TextD(nn.Module):
    """Characters -> residual convolutions -> hidden layer -> logit.

    Args:
        config: `width` and number of the convolutions.
        encoding: The encoding of the strings.
    """

    def __init__(self, config: TextDiscriminator, encoding: TableEncoding) -> None:
        super().__init__()
        self.length, self.slots = len(encoding.columns), encoding.columns[0].slots
        widths = [self.slots, *[config.width] * config.layers]
        self.steps = nn.ModuleList(nn.Conv1d(a, b, _KERNEL, padding=_KERNEL // 2) for a, b in itertools.pairwise(widths))
        self.hidden = nn.Linear(config.width * self.length, 2 * config.width)
        self.output = nn.Linear(2 * config.width, 1)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Map one-hot vectors, float32[m, length * slots], to logits, float32[m]. There are no labels."""
        h = x.view(-1, self.length, self.slots).transpose(1, 2)
        for i, step in enumerate(self.steps):
            features = functional.leaky_relu(step(h), _NEGATIVE_SLOPE)
            h = features if i == 0 else h + features
        logits: Tensor = self.output(functional.leaky_relu(self.hidden(h.flatten(1)), _NEGATIVE_SLOPE))
        return logits[:, 0]
