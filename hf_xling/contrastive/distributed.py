"""Rows of all processes, with gradients that are those of one process with all rows."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def gather_rows(rows: Tensor) -> Tensor:
    """(n, …) rows of this process to (W·n, …) rows of all W processes, in their order; n is the same in each.

    Every process then computes the same loss over all rows. The backward pass adds up what all of them say of a row, W
    times its gradient, and DDP's mean over processes takes that W away again: the result is the gradient of one process
    with all rows. (A gather without gradient, with one's own rows put back in, leaves it at 1/W.)
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    gathered = torch.cat(all_gather(rows))
    if gathered.requires_grad:
        # torch 2.13 receives gradients into memory laid out like the gradient that comes in here, taking it for rows
        # one behind the other: what came from a transposed loss would arrive scrambled.
        gathered.register_hook(Tensor.contiguous)
    return gathered
