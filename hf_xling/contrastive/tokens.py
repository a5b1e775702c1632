"""The texts of a corpus as token ids, tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy
from datasets import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from hf_xling.contrastive.config import SimCSEConfig
from hf_xling.errors import InputError
from hf_xling.tables import texts_of

TEXTS_PER_CALL = 10_000


class TokenTable:
    """The rows of a corpus: token ids of each view, and a number of each row's group. 4 bytes a token.

    Attributes:
        views: the columns of texts, in the order in which a batch holds them: `anchor`, `positive` (for dropout pairs
            the anchor again), then hard negatives.
        dropout_pairs: whether the two views of a row are one text.

    Args:
        dataset: with the column `anchor`, and if wanted `positive`, `negative` (or `negative_1`, …) and `group`.
        tokenizer: of the encoder.
        max_length: in tokens; longer texts are cut.
        name: what errors call the dataset.
        prompt: stands before each text.

    Raises:
        InputError: no column `anchor`, no rows, or a text that is null or empty (its row is named).
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
        columns_of_texts = dict.fromkeys(self.views)
        self._texts = {view: _tokenise(dataset, view, tokenizer, max_length, name, prompt) for view in columns_of_texts}
        self._groups = _numbered(dataset["group"] if "group" in columns else [None] * len(dataset))

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
    dataset: Dataset | None, tokenizer: PreTrainedTokenizerBase, args: SimCSEConfig, prompt: str = ""
) -> TokenTable | None:
    """`dataset`, tokenised; it must fill a batch of each process, and have what `negative_weight` acts on."""
    table = _filling_a_batch(dataset, tokenizer, args, "train", args.train_batch_size, prompt)
    if table is not None and args.negative_weight and len(table.views) != 3:
        raise InputError(
            f"--negative_weight {args.negative_weight}: wants one column of hard negatives; "
            f"train_dataset has {len(table.views) - 2}"
        )
    return table


def evaluation_table(
    dataset: Dataset | TokenTable | None, tokenizer: PreTrainedTokenizerBase, args: SimCSEConfig, prompt: str = ""
) -> TokenTable | None:
    """`dataset`, tokenised if it is not; it must fill a batch of each process."""
    if not isinstance(dataset, Dataset):
        return dataset
    return _filling_a_batch(dataset, tokenizer, args, "eval", args.eval_batch_size, prompt)


def _filling_a_batch(
    dataset: Dataset | None,
    tokenizer: PreTrainedTokenizerBase,
    args: SimCSEConfig,
    option: str,
    batch: int,
    prompt: str,
) -> TokenTable | None:
    if dataset is None:
        return None
    name, needed = f"{option}_dataset", batch * args.world_size
    table = TokenTable(dataset, tokenizer, args.max_length, name, prompt)
    if args.dataloader_drop_last and len(table) < needed:
        raise InputError(
            f"{name}: has {len(table)} rows, fewer than one batch of {needed} (--per_device_{option}_batch_size)"
        )
    return table


def negative_columns(names: Sequence[str]) -> list[str]:
    """The columns of hard negatives among `names`, `negative` first, then by number."""
    numbered = [name for name in names if name.startswith("negative_") and name.removeprefix("negative_").isdigit()]
    return [name for name in names if name == "negative"] + sorted(numbered, key=lambda name: int(name[9:]))


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


def _numbered(groups: Sequence[Any]) -> numpy.ndarray:
    """A number for each name of a group; a row without one is a group of its own."""
    numbers: dict[Any, int] = {}
    names = (("row", row) if group is None else group for row, group in enumerate(groups))
    return numpy.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=numpy.int64)
