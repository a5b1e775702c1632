"""The sentences of SNLI, translated by a language model: into Tamil, or the language of the runs.

python dataset_scripts/snli_tamil.py --source stanfordnlp/snli --generated runs/translate --output_dir data/snli_tamil
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.text_corpus import TextCorpusSpec

SPEC = TextCorpusSpec(
    name="snli_tamil",
    name_in="snli_{language}",
    title="{source} in {language}",
    description="The sentences of {source}, translated into {language} by a language model.",
    with_source=False,
    chains=(("translate",),),
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
