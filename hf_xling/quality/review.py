"""`hf-xling review DIR`: a sheet for human raters of generated text, and what filled sheets say of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from hf_xling import runs
from hf_xling.errors import InputError
from hf_xling.generation.languages import language_code
from hf_xling.hub.cards import counts_table
from hf_xling.provenance.generation_run import GenerationRun
from hf_xling.quality.drawing import Sample, draw
from hf_xling.quality.sheets import is_filled, read_ratings, write_sheet
from hf_xling.quality.tally import scale_rows, tally, tally_markdown
from hf_xling.recipes import RecipeParser

COMMAND = "hf-xling review"
FOLDER = "review"  # in that of the run
SHEET, KEY, INSTRUCTIONS, TALLY = "sheet.csv", "key.json", "instructions.md", "tally.json"


@dataclass
class ReviewConfig:
    """What is reviewed; `hf-xling review DIR` is short for `--folder DIR`."""

    folder: str = field(metadata={"help": "the output folder of `hf-xling generate`"})
    sample: int = field(default=100, metadata={"help": "how many accepted rows to draw"})
    language: str | None = field(default=None, metadata={"help": "draw rows of this language only; default: all"})
    seed: int = field(default=1, metadata={"help": "seed of the drawing and of the order"})
    filled: list[str] | None = field(
        default=None,
        metadata={"help": "instead: filled sheets (.csv, .tsv), each named after its rater, to be tallied"},
    )

    _argument_group_name = "review"

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise InputError(f"--sample {self.sample}: at least 1 is needed")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: 0 or more is needed")
        self.language = self.language and language_code(self.language, "--language")


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
    key = {
        "sample": sample,
        "seed": seed,
        "language": language,
        "strata": drawn.strata_facts(),
        "items": drawn.items,
    }
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


def main(argv: Sequence[str]) -> str:
    """Parse, write the sheet or tally filled ones, and return the closing lines."""
    argv = ["--folder", *argv] if argv and not argv[0].startswith("-") else argv
    parser = RecipeParser([ReviewConfig], prog=COMMAND, description=__doc__)
    (config,) = parser.parse(argv)
    review = Path(config.folder) / FOLDER
    if config.filled is not None:
        return f"{tally_markdown(tally_sheets(config.folder, config.filled))}\n\n{review / TALLY}"
    drawn = make_sheet(config.folder, config.sample, config.language, config.seed)
    return (
        f"{len(drawn.items):,} of {drawn.rows:,} distinct rows, from {len(drawn.strata)} strata\n"
        f"for raters: {review / SHEET}, {review / INSTRUCTIONS}\n"
        f"not for raters: {review / KEY}"
    )
