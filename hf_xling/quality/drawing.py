"""A stratified sample of the accepted rows of stage 1, from any number of them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from hf_xling.errors import InputError
from hf_xling.tables import parquet_batches, table_files

QUANTILES = (0.25, 0.5, 0.75)  # of the length of sources, where strata end
SHOWN = ("id", "sample", "model_id", "model_sha", "seed", "source_text", "text")
_ORIGIN = ("task", "language", "model_id")


@dataclass(frozen=True)
class Stratum:
    """Rows of one task, language and model, with sources of about one length.

    Attributes:
        task, language, model_id: of the rows.
        length: of their sources, such as `24 to 41 characters`.
        rows: how many there are, each distinct (source, text) once.
        sampled: how many of them were drawn.
    """

    task: str
    language: str
    model_id: str | None
    length: str
    rows: int
    sampled: int


@dataclass(frozen=True)
class Sample:
    """What was drawn: the strata, and the items in the order of the sheet, each with the place of its `stratum`."""

    strata: list[Stratum]
    items: list[dict[str, Any]]

    @property
    def rows(self) -> int:
        """How many rows there were to draw from."""
        return sum(stratum.rows for stratum in self.strata)

    def strata_facts(self) -> list[dict[str, Any]]:
        """The strata for JSON."""
        return [asdict(stratum) for stratum in self.strata]


def draw(folder: Path, sample: int, seed: int, language: str | None = None) -> Sample:
    """Draw `sample` accepted rows of the run in `folder`, or all where there are fewer.

    Each stratum gets a share of the items in proportion to its rows. Strata are made by task, language and model, and
    by the quartiles of the length of the sources of a task and language. Which rows are drawn, and in which order they
    come, depends on the rows and the seed alone. A row takes some 20 bytes of memory, however long it is.

    Args:
        folder: of the run.
        sample: how many.
        seed: of the drawing and the order.
        language: draw rows of this language only.

    Raises:
        InputError: there are no such rows, or they cannot be read.
    """
    origins, codes, lengths, places = _index(folder)
    known = sorted({origin[1] for origin in origins})
    chosen = [code for code, origin in enumerate(origins) if language in (None, origin[1])]
    if not chosen or not len(places):
        which = "" if language is None else f" in `{language}`"
        raise InputError(
            f"{folder / 'accepted'}: holds no rows{which}" + (f"; it has {', '.join(known)}" if known else "")
        )
    groups = _strata([origins[code] for code in chosen], chosen, codes, lengths)
    random = np.random.default_rng(seed)
    strata, drawn, of = [], [], []
    for number, ((origin, length, rows), share) in enumerate(
        zip(groups, allocate([len(rows) for *_, rows in groups], sample), strict=True)
    ):
        strata.append(Stratum(*origin, length, len(rows), share))
        drawn += places[np.sort(random.choice(rows, share, replace=False))].tolist()
        of += [number] * share
    found = _rows(folder, drawn)
    items = [{**found[drawn[place]], "stratum": of[place]} for place in random.permutation(len(drawn)).tolist()]
    return Sample(strata, [{"item": number, **item} for number, item in enumerate(items, 1)])


def allocate(sizes: Sequence[int], sample: int) -> list[int]:
    """`sample` in parts proportional to `sizes`, none above its size, by largest remainders; all where there are fewer.

    >>> allocate([60, 30, 11], 10)
    [6, 3, 1]
    """
    total = sum(sizes)
    sample = min(sample, total)
    shares = [size * sample // total for size in sizes]
    remainders = [size * sample % total for size in sizes]
    for place in sorted(range(len(sizes)), key=lambda place: -remainders[place])[: sample - sum(shares)]:
        shares[place] += 1
    return shares


def _index(folder: Path) -> tuple[list[tuple], np.ndarray, np.ndarray, np.ndarray]:
    """The origins; of each distinct row the number of its origin, the length of its source, and its place."""
    origins: dict[tuple, int] = {}
    codes, lengths, hashes = array("i"), array("i"), array("q")
    for batch in parquet_batches(table_files(folder / "accepted"), (*_ORIGIN, "source_text", "text")):
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        for origin in zip(*(columns[name] for name in _ORIGIN), strict=True):
            codes.append(origins.setdefault(origin, len(origins)))
        lengths.extend(map(len, columns["source_text"]))
        # Rows of one source text have one answer: a sheet shall not show it twice.
        hashes.extend(map(hash, zip(*(columns[name] for name in ("language", "source_text", "text")), strict=True)))
    _, places = np.unique(np.array(hashes, dtype=np.int64), return_index=True)
    places.sort()
    return list(origins), np.array(codes, dtype=np.int32)[places], np.array(lengths, dtype=np.int32)[places], places


def _strata(
    origins: Sequence[tuple], numbers: Sequence[int], codes: np.ndarray, lengths: np.ndarray
) -> list[tuple[tuple, str, np.ndarray]]:
    """The origin, the length and the rows (places in `codes`) of each stratum."""
    found = []
    for origin, number in sorted(zip(origins, numbers, strict=True), key=lambda pair: tuple(map(str, pair[0]))):
        alike = [other for name, other in zip(origins, numbers, strict=True) if name[:2] == origin[:2]]
        edges = np.unique(np.quantile(lengths[np.isin(codes, alike)], QUANTILES, method="inverted_cdf")).astype(int)
        bins = np.searchsorted(edges, lengths)
        for place in range(len(edges) + 1):
            rows = np.flatnonzero((codes == number) & (bins == place))
            if len(rows):
                found.append((origin, _length(edges, place), rows))
    return found


def _length(edges: np.ndarray, place: int) -> str:
    if place == 0:
        return f"up to {edges[0]:,} characters"
    low = f"{edges[place - 1] + 1:,}"
    return f"{low} or more" if place == len(edges) else f"{low} to {edges[place]:,}"


def _rows(folder: Path, places: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The rows at `places`, among all accepted ones."""
    wanted, start, found = np.sort(np.array(places, dtype=np.int64)), 0, {}
    for batch in parquet_batches(table_files(folder / "accepted"), SHOWN):
        here = wanted[(start <= wanted) & (wanted < start + len(batch))]
        found.update(zip(here.tolist(), batch.take(pyarrow.array(here - start)).to_pylist(), strict=True))
        start += len(batch)
    return found
