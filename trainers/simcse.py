"""Train a sentence encoder with SimCSE.

accelerate launch trainers/simcse.py --model_name_or_path bert-base-multilingual-cased \\
    --dataset_name org/snli-tamil-paraphrased --dataset_config sentences --output_dir encoders/snli-tamil

Rows with a `positive` column are text pairs; without it the two views of a sentence are two dropout masks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hf_xling.console import run_command
from hf_xling.recipes import RecipeParser


def main(argv: Sequence[str]) -> str | None:
    """Parse, train, save, evaluate; return the closing lines."""
    from hf_xling.contrastive.config import COMMAND, SimCSEConfig, SimCSEScriptArguments
    from hf_xling.training.adapters import LoraArguments

    parser = RecipeParser([SimCSEScriptArguments, SimCSEConfig, LoraArguments], prog=COMMAND, description=__doc__)
    script, args, lora = parser.parse(argv)

    from hf_xling.contrastive.stage import train_encoder
    from hf_xling.training.pretrained import quiet_transformers

    quiet_transformers()
    return train_encoder(script, args, lora)


if __name__ == "__main__":
    sys.exit(run_command(main))
