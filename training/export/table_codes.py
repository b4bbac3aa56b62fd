"""Decodes an encoded table to codes, as the exported graph does. See `seedmint.training.datasets.table_encoding`."""

import torch
from torch import Tensor, nn

from seedmint.training.datasets.table_encoding import FINE, UNITS, TableEncoding

_FINE_SCALE = float(1 << 20)  # a power of two, so that the product with z is exact


class ToCharacterCodes(nn.Module):
    """One-hot vectors of characters -> codes.

    Args:
        encoding: The encoding of strings.
    """

    numbers: Tensor

    def __init__(self, encoding: TableEncoding) -> None:
        super().__init__()
        self.length, self.slots = len(encoding.columns), encoding.columns[0].slots
        self.register_buffer("numbers", torch.arange(self.slots, dtype=torch.float32), persistent=False)

    def forward(self, rows: Tensor, z: Tensor) -> Tensor:
        """Decode strings.

        Args:
            rows: float32[n, width], one-hot vectors that are exactly 0 and 1.
            z: float32[n, z_dim]; not used.

        Returns:
            Codes, float32[n, length].
        """
        codes: Tensor = (rows.view(-1, self.length, self.slots) * self.numbers).sum(dim=2)
        return codes


class ToCodes(nn.Module):
    """Encoded rows -> codes. After the rounding of y, all operations are on integers, and exact.

    Args:
        encoding: The encoding of the table.
    """

    starts: Tensor
    lengths: Tensor
    firsts: Tensor
    widths: Tensor
    offsets: Tensor
    points: Tensor
    members: Tensor
    active: Tensor

    def __init__(self, encoding: TableEncoding) -> None:
        super().__init__()
        self.continuous = encoding.continuous
        columns = [column for column in encoding.columns if column.is_continuous]
        longest = max((len(column.starts) for column in columns), default=1)
        offsets = torch.arange(len(columns)) * longest
        self.register_buffer("offsets", offsets, persistent=False)
        for name in ("starts", "lengths", "firsts", "widths"):
            fill = 1 << 30 if name == "starts" else 1
            table = torch.full((len(columns), longest), fill, dtype=torch.int64)
            for i, column in enumerate(columns):
                values = getattr(column, name)
                table[i, : len(values)] = torch.tensor(values, dtype=torch.int64)
            self.register_buffer(name, table, persistent=False)
        # members[s, c]: slot s belongs to column c. A code is the sum of its point, if a point is active, and its continuous
        # part, if that is active.
        points = torch.zeros(encoding.slots, len(encoding.columns))
        members = torch.zeros(encoding.continuous, len(encoding.columns))
        slot = number = 0
        activity = []
        for i, column in enumerate(encoding.columns):
            points[slot : slot + len(column.points), i] = torch.tensor(column.points, dtype=torch.float32)
            slot += column.slots
            if column.is_continuous:
                members[number, i] = 1
                activity.append(slot - 1 if column.slots else encoding.slots)
                number += 1
        self.register_buffer("points", points, persistent=False)
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("active", torch.tensor(activity, dtype=torch.int64), persistent=False)

    def forward(self, rows: Tensor, z: Tensor) -> Tensor:
        """Decode rows.

        Args:
            rows: float32[n, width], with one-hot vectors that are exactly 0 and 1.
            z: float32[n, z_dim], the noise of the rows, for the bits below the rounding.

        Returns:
            Codes, float32[n, columns].
        """
        one_hot = rows[:, self.continuous :]
        codes = (one_hot[:, :, None] * self.points).sum(dim=1) if one_hot.shape[1] else None
        if not self.continuous:
            assert codes is not None
            return codes
        padded = torch.cat([one_hot, torch.ones_like(rows[:, :1])], dim=1)
        numbers = self._numbers(rows[:, : self.continuous], z) * padded[:, self.active]
        continuous = (numbers[:, :, None] * self.members).sum(dim=1)
        return continuous if codes is None else codes + continuous

    def _numbers(self, y: Tensor, z: Tensor) -> Tensor:
        """Return the codes of the continuous numbers, float32[n, continuous]."""
        limit = 4 * UNITS
        q = (y * UNITS).round().clamp(-limit, limit - 1).to(torch.int64)
        segment = (q[:, :, None] >= self.starts).to(torch.int64).sum(dim=2) - 1 + self.offsets
        fine = (z[:, torch.arange(self.continuous, device=z.device) % z.shape[1]] * _FINE_SCALE).to(torch.int64)
        fine = torch.remainder(fine, FINE)
        starts, lengths, firsts, widths = (
            table.flatten()[segment] for table in (self.starts, self.lengths, self.firsts, self.widths)
        )
        position = ((q - starts) * FINE + fine) * widths
        return (firsts + torch.div(position, lengths * FINE, rounding_mode="floor")).to(torch.float32)
