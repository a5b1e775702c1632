"""The distinct sentences of SNLI (premises and hypotheses), as they are.

python dataset_scripts/snli_sentences.py --source stanfordnlp/snli --output_dir data/snli_sentences
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.text_corpus import TextCorpusSpec

SPEC = TextCorpusSpec(
    name="snli_sentences",
    title="Sentences of {source}",
    description="Each distinct sentence of {source}, once.",
    with_source=True,
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
