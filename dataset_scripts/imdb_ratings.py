"""IMDB's film reviews with their sentiment as a rating of 0 or 1, for local use.

python dataset_scripts/imdb_ratings.py --source stanfordnlp/imdb --output_dir data/imdb_ratings
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.rated_corpus import RatedCorpusSpec

SPEC = RatedCorpusSpec(
    name="imdb_ratings",
    description="The labelled film reviews of the Large Movie Review Dataset (IMDB), for local use.",
    made_for="IMDB",
    about="The labelled film reviews of the Large Movie Review Dataset (Maas et al., 2011).",
    scale="0 for a negative review (4 stars or fewer of 10) and 1 for a positive one (7 or more), taken as a number",
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
