"""Sentences of a newspaper in the low-resource language: Tamil Murasu, or any text file with a sentence a line.

python dataset_scripts/tamil_murasu.py --source murasu.txt --source_name "Tamil Murasu" --source_language ta \\
    --output_dir data/tamil_murasu
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.text_corpus import TextCorpusSpec

SPEC = TextCorpusSpec(
    name="tamil_murasu",
    title="Sentences of {source}",
    description="Each distinct sentence of {source}, once.",
    with_source=True,
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
