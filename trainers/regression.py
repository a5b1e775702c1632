"""Fine-tune an encoder to predict ratings (or classes), with one training per seed and fold, and measure it.

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
    from hf_xling.training.adapters import LoraArguments

    dataclasses = [RegressionScriptArguments, RegressionConfig, LoraArguments]
    script, args, lora = RecipeParser(dataclasses, prog=COMMAND, description=__doc__).parse(argv)

    from hf_xling.regression.stage import train_all
    from hf_xling.training.pretrained import quiet_transformers

    quiet_transformers()
    return train_all(script, args, lora)


if __name__ == "__main__":
    sys.exit(run_command(main))
