"""The sentences of SNLI and their paraphrases, both translated by a language model.

python dataset_scripts/snli_tamil_paraphrased.py --source stanfordnlp/snli \\
    --generated runs/translate runs/paraphrase-translate --output_dir data/snli_tamil_paraphrased
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.text_corpus import TextCorpusSpec

SPEC = TextCorpusSpec(
    name="snli_tamil_paraphrased",
    name_in="snli_{language}_paraphrased",
    title="{source} and its paraphrases in {language}",
    description="The sentences of {source} and their paraphrases, both translated into {language} by a language model.",
    with_source=False,
    chains=(("translate",), ("paraphrase", "translate")),
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
