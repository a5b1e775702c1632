"""Film reviews in Tamil with their ratings: as they are, and cleaned of markup and of training rows that are in test.

python dataset_scripts/tamil_movie_reviews.py --source tamil_movie_reviews_train.csv \\
    --test_file tamil_movie_reviews_test.csv --source_name "Tamil film reviews" --source_language ta \\
    --scale "stars, in quarter steps" --output_dir data/tamil_movie_reviews
"""

from __future__ import annotations

import sys
from functools import partial

from hf_xling.console import run_command
from hf_xling.corpora.builders import main
from hf_xling.corpora.rated_corpus import RatedCorpusSpec

SPEC = RatedCorpusSpec(
    name="tamil_movie_reviews",
    description="Rated texts, such as the published film reviews in Tamil.",
    # The columns of the published files, and those that this project writes.
    text_columns=("ReviewInTamil", "text"),
    label_columns=("Rating", "label"),
    id_columns=("ReviewId", "id"),
)

if __name__ == "__main__":
    sys.exit(run_command(partial(main, SPEC)))
