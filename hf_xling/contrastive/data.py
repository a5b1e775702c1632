"""Loading a corpus for SimCSE from what the script was given."""

from __future__ import annotations

from datasets import Dataset

from hf_xling.contrastive.collator import negative_columns
from hf_xling.contrastive.config import SimCSEScriptArguments
from hf_xling.tables import read_table, texts_of


def load_corpus(script: SimCSEScriptArguments) -> Dataset:
    """The corpus as `SimCSETrainer` takes it: `anchor`, and `positive`, `negative…`, `group` where the source has them.

    Raises:
        InputError: no such source or column, no rows, or a text that is null or empty (its row is named).
    """
    source = script.dataset_name or script.train_file
    table = read_table(source, script.dataset_config, script.dataset_split).require_rows()
    anchor = script.anchor_column or ("anchor" if "anchor" in table.columns else "text")
    columns = {"anchor": table.column(anchor)}
    for name in ("positive", *negative_columns(table.columns)):
        if name in table.columns:
            columns[name] = table.column(name)
    for name, values in columns.items():
        texts_of(values, lambda row, name=name: f"{table.where(row)}, column `{anchor if name == 'anchor' else name}`")
    if "group" in table.columns:
        columns["group"] = table.column("group")
    return Dataset.from_dict(columns)
