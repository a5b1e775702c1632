"""The texts of a corpus as token ids, tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy
from datasets import Dataset
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from hf_xling.contrastive.columns import ROWS, left_out, negative_columns
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.errors import InputError
from hf_xling.tables import texts_of

TEXTS_PER_CALL = 10_000


class TokenTable:
    """The rows of a corpus: token ids of each view, and a number of each row's group. 4 bytes a token.

    Rows whose anchors or positives are the same to the encoder are of one group, since each would be a false negative
    of the other; so are rows that the column `group` puts together.

    Attributes:
        views: the columns of texts, in the order in which a batch holds them: `anchor`, `positive` (for dropout pairs
            the anchor again), then hard negatives.
        dropout_pairs: whether the two views of a row are one text.
        left_out: the columns that hold texts too, and are none of these.
        repeated: how many rows have an anchor or a positive that stands in another row too.

    Args:
        dataset: with the column `anchor`, and if wanted `positive`, `negative` (or `negative_1`, …) and `group`.
        tokenizer: of the encoder.
        max_length: in tokens; longer texts are cut.
        name: what errors call the dataset.
        prompt: stands before each text.

    Raises:
        InputError: no column `anchor`, no rows, a text that is null or empty (its row is named), or a column of texts
            beside `anchor` alone that may be the other one of each pair.
    """

    def __init__(
        self,
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        name: str = "dataset",
        prompt: str = "",
    ):
        columns = dataset.column_names
        if "anchor" not in columns:
            raise InputError(f"{name}: has no column `anchor`; its columns are {', '.join(columns)}")
        if len(dataset) == 0:
            raise InputError(f"{name}: is empty")
        self.dropout_pairs = "positive" not in columns
        self.views = ["anchor", "anchor" if self.dropout_pairs else "positive", *negative_columns(columns)]
        self.left_out = left_out(dataset[:ROWS], self.views)
        if self.dropout_pairs and self.left_out:
            raise InputError(
                f"{name}: has `anchor` and `{self.left_out[0]}`; call it `positive` for text pairs, or leave it out "
                "for dropout"
            )
        columns_of_texts = dict.fromkeys(self.views)
        self._texts = {view: _tokenise(dataset, view, tokenizer, max_length, name, prompt) for view in columns_of_texts}
        known = [self._texts[view] for view in dict.fromkeys(self.views[:2])]
        self._groups, self.repeated = _grouped(known, dataset["group"] if "group" in columns else None)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """`views`: the token ids of each view, (length,) int32; `group`: an integer."""
        texts = []
        for view in self.views:
            tokens, ends = self._texts[view]
            texts.append(tokens[ends[row] : ends[row + 1]])
        return {"views": texts, "group": int(self._groups[row])}


def training_table(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, args: SimCSEConfig, name: str, prompt: str = ""
) -> TokenTable:
    """`dataset`, tokenised; it must fill a batch of each process, and have what `negative_weight` acts on."""
    table = _filling_a_batch(dataset, tokenizer, args, name, "train", args.train_batch_size, prompt)
    if args.negative_weight and len(table.views) != 3:
        raise InputError(
            f"--negative_weight {args.negative_weight}: wants one column of hard negatives; "
            f"{name} has {len(table.views) - 2}"
        )
    return table


def evaluation_table(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    args: SimCSEConfig,
    name: str = "eval_dataset",
    prompt: str = "",
) -> TokenTable:
    """`dataset`, tokenised; it must fill a batch of each process."""
    return _filling_a_batch(dataset, tokenizer, args, name, "eval", args.eval_batch_size, prompt)


def _filling_a_batch(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    args: SimCSEConfig,
    name: str,
    option: str,
    batch: int,
    prompt: str,
) -> TokenTable:
    needed = batch * args.world_size
    table = TokenTable(dataset, tokenizer, args.max_length, name, prompt)
    if args.dataloader_drop_last and len(table) < needed:
        raise InputError(
            f"{name}: has {len(table)} rows, fewer than one batch of {needed} (--per_device_{option}_batch_size)"
        )
    return table


def _tokenise(
    dataset: Dataset, column: str, tokenizer: PreTrainedTokenizerBase, max_length: int, name: str, prompt: str
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The tokens of all texts of a column, one behind the other, and where each begins and the last one ends."""
    parts, lengths = [], []
    starts = range(0, len(dataset), TEXTS_PER_CALL)
    for start in tqdm(starts, desc=f"tokens of {column}", unit="batch", disable=len(starts) < 10):
        texts = texts_of(dataset[start : start + TEXTS_PER_CALL][column], partial(_where, name, column, start))
        prompted = [prompt + text for text in texts]
        ids = tokenizer(prompted, truncation=True, max_length=max_length, return_attention_mask=False)["input_ids"]
        if (empty := next((row for row, text in enumerate(ids) if not text), None)) is not None:
            where = _where(name, column, start, empty)
            raise InputError(f"{where}: the text {texts[empty]!r} has no tokens; the tokenizer knows nothing of it")
        lengths += map(len, ids)
        parts.append(numpy.fromiter((token for text in ids for token in text), dtype=numpy.int32))
    return numpy.concatenate(parts), numpy.concatenate([[0], numpy.cumsum(lengths, dtype=numpy.int64)])


def _where(name: str, column: str, start: int, index: int) -> str:
    return f"{name}, row {start + index + 1}, column `{column}`"


def _grouped(
    columns: Sequence[tuple[numpy.ndarray, numpy.ndarray]], given: Sequence[Any] | None
) -> tuple[numpy.ndarray, int]:
    """A number of each row's group (rows that share a text in any of `columns`, or a name that is given, and whatever
    is joined through them), and how many rows share a text.
    """
    hashes = numpy.array([[hash(ids[start:end].tobytes()) for start, end in pairwise(ends)] for ids, ends in columns])
    size = hashes.shape[1]
    _, texts = numpy.unique(hashes, return_inverse=True)
    texts = texts.reshape(hashes.shape)
    new = numpy.ones(texts.shape, dtype=bool)
    new[1:] = texts[1:] != texts[0]  # an anchor that is its own positive stands in one row
    edges = numpy.array([numpy.nonzero(new)[1], texts[new]])
    shared = numpy.bincount(edges[1])[edges[1]] > 1
    repeated = len(numpy.unique(edges[0][shared]))
    numbers: dict[Any, int] = {}
    named = [(row, numbers.setdefault(name, len(numbers))) for row, name in enumerate(given or ()) if name is not None]
    if named:
        rows, names = numpy.array(named).T
        edges = numpy.concatenate([edges, [rows, names + texts.max() + 1]], axis=1)
    nodes = size + int(edges[1].max()) + 1
    graph = coo_array((numpy.ones(len(edges[0]), dtype=bool), (edges[0], edges[1] + size)), shape=(nodes, nodes))
    _, groups = connected_components(graph, directed=False)
    return groups[:size].astype(numpy.int64), repeated
