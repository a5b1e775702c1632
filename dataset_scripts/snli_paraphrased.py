"""The sentences of SNLI and a paraphrase of each by a language model.

python dataset_scripts/snli_paraphrased.py --source stanfordnlp/snli --generated runs/paraphrase \\
    --output_dir data/snli_paraphrased
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.text_corpus import TextCorpusSpec

SPEC = TextCorpusSpec(
    name="snli_paraphrased",
    title="{source} with paraphrases",
    description="The sentences of {source} and a paraphrase of each, written by a language model.",
    with_source=True,
    chains=(("paraphrase",),),
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
