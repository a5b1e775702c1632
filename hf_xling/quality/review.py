"""`hf-xling review DIR`: a sheet for human raters of generated text, and what filled sheets say of it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow

from hf_xling import runs
from hf_xling.errors import InputError
from hf_xling.generation.languages import language_code
from hf_xling.hub.cards import counts_table
from hf_xling.provenance.generation_run import GenerationRun
from hf_xling.quality.sheets import is_filled, read_ratings, write_sheet
from hf_xling.quality.tally import scale_rows, tally, tally_markdown
from hf_xling.recipes import RecipeParser, option
from hf_xling.tables import parquet_batches, table_files

COMMAND = "hf-xling review"
FOLDER = "review"  # in that of the run
SHEET, KEY, INSTRUCTIONS, TALLY = "sheet.csv", "key.json", "instructions.md", "tally.json"
QUANTILES = (0.25, 0.5, 0.75)  # of the length of sources, where strata end
SHOWN = ("id", "sample", "model_id", "model_sha", "seed", "source_text", "text")
_ORIGIN = ("task", "language", "model_id")


@dataclass
class ReviewConfig:
    """What is reviewed; `hf-xling review DIR` is short for `--folder DIR`."""

    folder: str = option("the output folder of `hf-xling generate`")
    sample: int = option("how many accepted rows to draw", 100)
    language: str | None = option("draw rows of this language only; default: all", None)
    seed: int = option("seed of the drawing and of the order", 1)
    filled: list[str] | None = option(
        "instead: filled sheets (.csv, .tsv), each named after its rater, to be tallied", None
    )

    _argument_group_name = "review"

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise InputError(f"--sample {self.sample}: at least 1 is needed")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: 0 or more is needed")
        self.language = self.language and language_code(self.language, "--language")


class Sample(NamedTuple):
    """What was drawn.

    Attributes:
        strata: rows of one `task`, `language` and `model_id` with sources of about one `length` (such as `24 to 41
            characters`); how many `rows` there are, each distinct (source, text) once, and how many were `sampled`.
        items: in the order of the sheet, each with its number (`item`) and the place of its `stratum`.
    """

    strata: list[dict[str, Any]]
    items: list[dict[str, Any]]


def make_sheet(folder: str | Path, sample: int = 100, language: str | None = None, seed: int = 1) -> Sample:
    """Draw rows of the run in `folder` and write `review/`: `sheet.csv`, `instructions.md` and `key.json`.

    The sheet is blind: it tells neither model nor stratum, and its order is random. The key has them, and is not for
    raters. The same sample of the same rows gives the same files again.

    Raises:
        InputError: no finished run, no such rows, or there is a filled sheet or that of another sample already.
    """
    GenerationRun.open(folder, COMMAND)
    review = Path(folder) / FOLDER
    drawn = draw(Path(folder), sample, seed, language)
    key = {"sample": sample, "seed": seed, "language": language, **drawn._asdict()}
    if (review / KEY).exists():
        before = _read_key(review)
        if {name: before.get(name) for name in key} != key:
            raise InputError(
                f"{review / KEY}: is the key of another sample (--sample {before['sample']} --seed {before['seed']}), "
                f"and raters may have its sheet; move {review} away to draw anew"
            )
    if (review / SHEET).exists() and is_filled(review / SHEET):
        raise InputError(f"{review / SHEET}: is filled; tally it with --filled, or move {review} away to draw anew")
    review.mkdir(exist_ok=True)
    # The key first: a sheet without one could not be tallied.
    runs.write_json(review / KEY, {**key, "accepted": runs.file_hash(Path(folder) / "accepted")})
    runs.write_text(review / INSTRUCTIONS, files(__package__).joinpath("review.md").read_text(encoding="utf-8"))
    write_sheet(review / SHEET, drawn.items)
    return drawn


def tally_sheets(folder: str | Path, filled: Sequence[str | Path]) -> dict[str, Any]:
    """Read the filled sheets of the run in `folder` and write `review/tally.json`; return its content.

    Raises:
        InputError: no sheet was drawn from the run, two files have one name, or a file is no filled sheet of it.
    """
    review = Path(folder) / FOLDER
    key = _read_key(review)
    texts = {item["item"]: item["text"] for item in key["items"]}
    ratings = {}
    for path in map(Path, filled):
        if path.stem in ratings:
            raise InputError(
                f"--filled {path}: there is another sheet of `{path.stem}`; a name for each rater is needed"
            )
        ratings[path.stem] = read_ratings(path, texts)
    facts = {name: key[name] for name in ("sample", "seed", "language", "accepted")}
    found = {**facts, "items": len(texts), **tally(key["items"], key["strata"], ratings)}
    runs.write_json(review / TALLY, found)
    return found


def _read_key(review: Path) -> dict[str, Any]:
    try:
        key = json.loads((review / KEY).read_text(encoding="utf-8"))
        {key[name] for name in ("sample", "seed", "accepted")}, [item["text"] for item in key["items"]]
    except FileNotFoundError as error:
        raise InputError(
            f"{review / KEY}: no such file; `{COMMAND} {review.parent}` writes a sheet and its key"
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{review / KEY}: is damaged, and without it sheets cannot be tallied") from error
    return key


def review_facts(folder: str | Path) -> dict[str, Any] | None:
    """What the template `_review.md.jinja` shows of the review of the run in `folder`; None where there is no tally.

    Who the raters are is none of it.

    Returns:
        `chain` and `language` of the run, `texts` (of the sample) and `raters` (how many), `rated` (how many texts each
        of them), `table` (Markdown), and `outdated`: whether the rows are others by now, made with other filters say.
    """
    path = Path(folder) / FOLDER / TALLY
    if not path.is_file():
        return None
    found, manifest = json.loads(path.read_text(encoding="utf-8")), GenerationRun.open(folder, COMMAND).manifest
    return {
        **{name: manifest[name] for name in ("chain", "language")},
        "texts": found["items"],
        "raters": len(found["raters"]),
        "rated": _counted([rater["items"] for rater in found["raters"]]),
        "table": counts_table(scale_rows(found["scales"])),
        "outdated": runs.file_hash(Path(folder) / "accepted") != found["accepted"],
    }


def _counted(items: Sequence[int]) -> str:
    """Of how many items raters have rated each: one number, or the least and the greatest.

    >>> _counted([12]), _counted([12, 12]), _counted([12, 3])
    ('12', '12 each', '12 and 3')
    """
    if len(set(items)) == 1:
        return f"{items[0]:,}" + " each" * (len(items) > 1)
    return (
        " and ".join(f"{count:,}" for count in items) if len(items) == 2 else f"{min(items):,} to {max(items):,} each"
    )


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
    strata: list[dict[str, Any]] = []
    drawn: list[int] = []
    of: list[int] = []
    shares = allocate([len(rows) for *_, rows in groups], sample)
    for number, ((origin, length, rows), share) in enumerate(zip(groups, shares, strict=True)):
        facts = {"length": length, "rows": len(rows), "sampled": share}
        strata.append({**dict(zip(_ORIGIN, origin, strict=True)), **facts})
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
        *origin, sources, texts = (batch.column(name).to_pylist() for name in (*_ORIGIN, "source_text", "text"))
        codes.extend(origins.setdefault(each, len(origins)) for each in zip(*origin, strict=True))
        lengths.extend(map(len, sources))
        # Rows of one source text have one answer: a sheet shall not show it twice.
        hashes.extend(map(hash, zip(origin[1], sources, texts, strict=True)))
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
    wanted, start = np.sort(np.array(places, dtype=np.int64)), 0
    found: dict[int, dict[str, Any]] = {}
    for batch in parquet_batches(table_files(folder / "accepted"), SHOWN):
        here = wanted[(start <= wanted) & (wanted < start + len(batch))]
        found.update(zip(here.tolist(), batch.take(pyarrow.array(here - start)).to_pylist(), strict=True))
        start += len(batch)
    return found


def main(argv: Sequence[str]) -> str:
    """Parse, write the sheet or tally filled ones, and return the closing lines."""
    argv = ["--folder", *argv] if argv and not argv[0].startswith("-") else argv
    parser = RecipeParser([ReviewConfig], prog=COMMAND, description=__doc__)
    (config,) = parser.parse(argv)
    review = Path(config.folder) / FOLDER
    if config.filled is not None:
        return f"{tally_markdown(tally_sheets(config.folder, config.filled))}\n\n{review / TALLY}"
    drawn = make_sheet(config.folder, config.sample, config.language, config.seed)
    rows = sum(stratum["rows"] for stratum in drawn.strata)
    return (
        f"{len(drawn.items):,} of {rows:,} distinct rows, from {len(drawn.strata)} strata\n"
        f"for raters: {review / SHEET}, {review / INSTRUCTIONS}\n"
        f"not for raters: {review / KEY}"
    )
