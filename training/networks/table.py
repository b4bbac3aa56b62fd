"""The generator of a table: a network for its encoding, with a discrete choice for each one-hot vector.

The choice is a sample of the categorical distribution with the logits of the network, by the Gumbel-max rule: the largest of
logit + g, where g = -log(-log u) and u is one further number of the noise for each slot. So the probability of a category is
the softmax of its logit, and the noise decides. Training uses the Gumbel-softmax relaxation (Jang et al., 2017;
Maddison et al., 2017) with straight-through gradients: G returns one-hot vectors, as the data are, and gets the gradient of the
softmax.
"""

import math

import torch
from torch import Tensor, nn

from seedmint.training.datasets.table_encoding import TableEncoding

TEMPERATURE = 0.5
_TINY = 1e-6  # u is _TINY to 1 - _TINY
_LEAST = -1e9  # logit of slots that do not exist


class TableG(nn.Module):
    """z -> network -> encoded row.

    The last layer starts without weights for the one-hot vectors, and with the logarithms of the shares in the data as biases:
    before the first step, every category has its share in the data.

    Args:
        network: Maps float32[m, z_dim] and labels to float32[m, encoding.width].
        last: The last layer of the network.
        encoding: The encoding of the table.
        z_dim: Length of the noise of the network.
        prior: `normal` or `uniform`.
    """

    columns: Tensor
    missing: Tensor
    position: Tensor
    owners: Tensor

    def __init__(self, network: nn.Module, last: nn.Linear, encoding: TableEncoding, z_dim: int, prior: str) -> None:
        super().__init__()
        self.network, self.z_dim, self.prior = network, z_dim, prior
        self.continuous, self.slots = encoding.continuous, encoding.slots
        groups = [column for column in encoding.columns if column.slots]
        longest = max((column.slots for column in groups), default=0)
        columns = torch.zeros(len(groups), longest, dtype=torch.int64)
        missing = torch.ones(len(groups), longest, dtype=torch.bool)
        position, start = [], 0
        for i, column in enumerate(groups):
            columns[i, : column.slots] = torch.arange(start, start + column.slots)
            missing[i, : column.slots] = False
            position += [i * longest + slot for slot in range(column.slots)]
            start += column.slots
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("missing", missing, persistent=False)
        self.register_buffer("position", torch.tensor(position, dtype=torch.int64), persistent=False)
        self.register_buffer("owners", _owners(encoding), persistent=False)
        with torch.no_grad():
            last.weight[self.continuous :] = 0
            shares = [share for column in groups for share in column.shares]
            last.bias[self.continuous :] = torch.tensor(shares).log()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map noise, float32[m, z_dim + slots], and int64[m] labels to encoded rows, float32[m, width]."""
        base, extra = z[:, : self.z_dim], z[:, self.z_dim :]
        raw: Tensor = self.network(base) if label is None else self.network(base, label)
        if not self.slots:
            return raw
        y, logits = raw[:, : self.continuous], raw[:, self.continuous :]
        one_hot = self._choose(logits.float() + gumbel(extra, self.prior)).to(raw.dtype)
        padded = torch.cat([one_hot, torch.ones_like(one_hot[:, :1])], dim=1)
        return torch.cat([y * padded[:, self.owners], one_hot], dim=1)  # y is 0 at a point

    def _choose(self, scores: Tensor) -> Tensor:
        """Return the one-hot vectors of the largest scores, float32[m, slots]."""
        grouped = torch.where(self.missing, _LEAST, scores[:, self.columns])
        hard = (torch.arange(grouped.shape[2], device=scores.device) == grouped.argmax(dim=2, keepdim=True)).to(scores.dtype)
        if self.training:
            soft = torch.softmax(grouped / TEMPERATURE, dim=2)
            hard = hard - soft.detach() + soft
        return hard.flatten(1)[:, self.position]


def _owners(encoding: TableEncoding) -> Tensor:
    """Return the slot that activates each continuous number; the number of slots for one that is always active."""
    owners, start = [], 0
    for column in encoding.columns:
        start += column.slots
        if column.is_continuous:
            owners.append(start - 1 if column.slots else encoding.slots)
    return torch.tensor(owners, dtype=torch.int64)


def gumbel(z: Tensor, prior: str) -> Tensor:
    """Return noise of the prior as standard Gumbel noise of the same shape.

    Args:
        z: Noise of any shape.
        prior: `normal` or `uniform`.
    """
    u = 0.5 * (1 + torch.erf(z * math.sqrt(0.5))) if prior == "normal" else z / (2 * math.sqrt(3.0)) + 0.5
    return -torch.log(-torch.log(u.clamp(_TINY, 1 - _TINY)))
