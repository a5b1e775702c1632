"""From texts to token ids, as Arrow and NumPy: rows of a corpus, each text checked once, and tokenised once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy
import pyarrow
from datasets import Dataset
from datasets.table import InMemoryTable
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from hf_xling.contrastive.columns import choose_columns, left_out, negative_columns
from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.errors import InputError
from hf_xling.provenance.generators import WRITTEN_BY
from hf_xling.tables import Table, texts_of

ROWS = 2**16  # of a block that is read at once; the first one chooses the columns
SAMPLE = 1000  # rows at whose values is looked for that
TEXTS_PER_CALL = 10_000


class TextRows(Dataset):
    """Rows in Arrow whose texts are checked: `anchor`, and perhaps `positive`, `negative…` and `group`.

    Attributes:
        name: what errors call them.
        chosen: the columns of the source by their names here.
        left_out: its columns that hold texts too.
        written_by: its distinct rows of the columns of `WRITTEN_BY`, by column.

    Args:
        blocks: of the source.
        choice: the columns for anchor, positive and negatives that the user has named; see `choose_columns`.

    Raises:
        InputError: no such columns, no rows, or a text that is null or empty (its row is named).
    """

    def __init__(self, blocks: Iterable[Table], choice: Mapping[str, Any] | None = None):
        blocks = iter(blocks)
        first = next(blocks).require_rows()
        looked_at = {name: values[:: -(-len(first) // SAMPLE)] for name, values in first.columns.items()}
        self.name = first.name
        self.chosen = choose_columns(looked_at, first.name, **(choice or {}))
        self.left_out = left_out(looked_at, self.chosen.values())
        texts: dict[str, list[Any]] = {name: [] for name in self.chosen}
        groups: list[Any] = []
        numbers: dict[Any, int] = {}
        told = [name for name in WRITTEN_BY if name in first.columns]
        written: dict[tuple[Any, ...], None] = {}
        for block in chain([first], blocks):
            for name, column in self.chosen.items():
                where = partial(_where, block, column)
                texts[name].append(pyarrow.array(texts_of(block.column(column), where), pyarrow.large_string()))
            if "group" in first.columns:  # numbered: values of several types have none in Arrow
                found = block.column("group")
                known = [None if each is None else numbers.setdefault(each, len(numbers)) for each in found]
                groups.append(pyarrow.array(known, pyarrow.int64()))
            written |= dict.fromkeys(zip(*(block.column(name) for name in told), strict=True))
        self.written_by = dict(zip(told, map(list, zip(*written, strict=True)), strict=True))
        columns = {**texts, **({"group": groups} if groups else {})}
        table = pyarrow.table({name: pyarrow.chunked_array(parts) for name, parts in columns.items()})
        super().__init__(InMemoryTable(table))

    @classmethod
    def of(cls, dataset: Dataset, name: str) -> TextRows:
        """The rows of `dataset`, whose columns have the names that they have here; errors call it `name`.

        Raises:
            InputError: as above, or a column of texts beside `anchor` alone may be the other one of each pair.
        """
        columns = dataset.column_names
        if "anchor" not in columns:
            raise InputError(f"{name}: has no column `anchor`; its columns are {', '.join(columns)}")
        if len(dataset) == 0:
            raise InputError(f"{name}: is empty")
        positive = "positive" if "positive" in columns else None
        blocks = (Table(name, dataset[start : start + ROWS], start=start) for start in range(0, len(dataset), ROWS))
        rows = cls(blocks, {"anchor": "anchor", "positive": positive, "negatives": negative_columns(columns)})
        if positive is None and rows.left_out:
            raise InputError(
                f"{name}: has `anchor` and `{rows.left_out[0]}`; call it `positive` for text pairs, or leave it out "
                "for dropout"
            )
        return rows


class TokenTable:
    """The rows of a corpus: token ids of each view, and a number of each row's group. 4 bytes a token.

    Rows whose anchors or positives are the same to the encoder are of one group, since each would be a false negative
    of the other; so are rows that the column `group` puts together.

    Attributes:
        views: the columns of texts, in the order in which a batch holds them: `anchor`, `positive` (for dropout pairs
            the anchor again), then hard negatives.
        dropout_pairs: whether the two views of a row are one text.
        left_out: the columns of the source that hold texts too.
        repeated: how many rows have an anchor or a positive that is in another row too.

    Args:
        rows: with the column `anchor`, and if wanted `positive`, `negative` (or `negative_1`, …) and `group`.
        tokenizer: of the encoder.
        max_length: in tokens; longer texts are cut.
        prompt: comes before each text.
        texts_per_call: that the tokenizer is given at once.

    Raises:
        InputError: a text without tokens (its row is named).
    """

    def __init__(
        self,
        rows: TextRows,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        prompt: str = "",
        texts_per_call: int = TEXTS_PER_CALL,
    ):
        columns, self.left_out = rows.column_names, rows.left_out
        self.dropout_pairs = "positive" not in columns
        self.views = ["anchor", "anchor" if self.dropout_pairs else "positive", *negative_columns(columns)]
        self._texts = {
            view: _tokenise(rows, view, tokenizer, max_length, prompt, texts_per_call)
            for view in dict.fromkeys(self.views)
        }
        known = [self._texts[view] for view in dict.fromkeys(self.views[:2])]
        self._groups, self.repeated = _grouped(known, rows.data.column("group") if "group" in columns else None)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """`views`: the token ids of each view, (length,) int32; `group`: an integer."""
        texts = []
        for view in self.views:
            tokens, ends = self._texts[view]
            texts.append(tokens[ends[row] : ends[row + 1]])
        return {"views": texts, "group": int(self._groups[row])}


def token_table(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, args: SimCSEConfig, name: str, prompt: str = ""
) -> TokenTable:
    """`dataset`, checked and tokenised; it must fill a batch of each process, and have what `negative_weight` acts on.

    Args:
        name: what errors call it; `train_dataset` is trained on, others are measured.
    """
    rows = dataset if isinstance(dataset, TextRows) else TextRows.of(dataset, name)
    table = TokenTable(rows, tokenizer, args.max_length, prompt)
    training = name == "train_dataset"
    needed = (args.train_batch_size if training else args.eval_batch_size) * args.world_size
    if args.dataloader_drop_last and len(table) < needed:
        option = f"--per_device_{'train' if training else 'eval'}_batch_size"
        raise InputError(f"{name}: has {len(table)} rows, fewer than one batch of {needed} ({option})")
    if training and args.negative_weight and len(table.views) != 3:
        raise InputError(
            f"--negative_weight {args.negative_weight}: wants one column of hard negatives; "
            f"{name} has {len(table.views) - 2}"
        )
    return table


def _tokenise(
    rows: TextRows, column: str, tokenizer: PreTrainedTokenizerBase, max_length: int, prompt: str, texts_per_call: int
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The tokens of all texts of a column, one behind the other, and where each begins and the last one ends."""
    parts: list[numpy.ndarray] = []
    lengths: list[int] = []
    texts = rows.data.column(column)
    starts = range(0, len(texts), texts_per_call)
    for start in tqdm(starts, desc=f"tokens of {column}", unit="batch", disable=len(starts) < 10):
        prompted = [prompt + text for text in texts.slice(start, texts_per_call).to_pylist()]
        ids = tokenizer(prompted, truncation=True, max_length=max_length, return_attention_mask=False)["input_ids"]
        if (empty := next((row for row, text in enumerate(ids) if not text), None)) is not None:
            where, text = f"{rows.name}, row {start + empty + 1}, column `{column}`", texts[start + empty].as_py()
            raise InputError(f"{where}: the text {text!r} has no tokens; the tokenizer knows nothing of it")
        lengths += map(len, ids)
        parts.append(numpy.fromiter((token for text in ids for token in text), dtype=numpy.int32))
    return numpy.concatenate(parts), numpy.concatenate([[0], numpy.cumsum(lengths, dtype=numpy.int64)])


def _where(table: Table, column: str, row: int) -> str:
    return f"{table.where(row)}, column `{column}`"


def _grouped(
    columns: Sequence[tuple[numpy.ndarray, numpy.ndarray]], given: pyarrow.ChunkedArray | None
) -> tuple[numpy.ndarray, int]:
    """A number of each row's group (rows that share a text in any of `columns`, or a name that is given, and whatever
    is joined through them), and how many rows share a text.
    """
    hashes = numpy.array([[hash(ids[start:end].tobytes()) for start, end in pairwise(ends)] for ids, ends in columns])
    size = hashes.shape[1]
    _, texts = numpy.unique(hashes, return_inverse=True)
    texts = texts.reshape(hashes.shape)
    new = numpy.ones(texts.shape, dtype=bool)
    new[1:] = texts[1:] != texts[0]  # an anchor that is its own positive is in one row
    edges = numpy.array([numpy.nonzero(new)[1], texts[new]])
    shared = numpy.bincount(edges[1])[edges[1]] > 1
    repeated = len(numpy.unique(edges[0][shared]))
    if given is not None:
        names = given.combine_chunks().dictionary_encode().indices
        rows = numpy.nonzero(names.is_valid().to_numpy(zero_copy_only=False))[0]
        numbers = names.drop_null().to_numpy().astype(numpy.int64)
        edges = numpy.concatenate([edges, [rows, numbers + texts.max() + 1]], axis=1)
    nodes = size + int(edges[1].max()) + 1
    graph = coo_array((numpy.ones(len(edges[0]), dtype=bool), (edges[0], edges[1] + size)), shape=(nodes, nodes))
    _, groups = connected_components(graph, directed=False)
    return groups[:size].astype(numpy.int64), repeated
