"""Fine-tune an encoder to predict ratings, with one training per seed, and measure it on the test set.

accelerate launch trainers/regression.py --model_name_or_path encoders/snli-tamil --train_file train.csv \\
    --validation_file validation.csv --test_file test.csv --seeds 1 2 3 --output_dir ratings
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hf_xling.console import run_command
from hf_xling.recipes import RecipeParser


def main(argv: Sequence[str]) -> str | None:
    """Parse, build, train, save; return the closing lines."""
    from hf_xling.regression.config import COMMAND, RegressionConfig, RegressionScriptArguments

    parser = RecipeParser([RegressionScriptArguments, RegressionConfig], prog=COMMAND, description=__doc__)
    script, args = parser.parse(argv)

    from hf_xling.pretrained import quiet_transformers
    from hf_xling.regression.stage import train_seeds

    quiet_transformers()
    return train_seeds(script, args)


if __name__ == "__main__":
    sys.exit(run_command(main))
