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
from hf_xling.runs import claim, finish, last_checkpoint


def main(argv: Sequence[str]) -> str | None:
    """Parse, build, train, save; return the closing lines."""
    from hf_xling.contrastive.config import COMMAND, SimCSEConfig, SimCSEScriptArguments, run_identity

    parser = RecipeParser([SimCSEScriptArguments, SimCSEConfig], prog=COMMAND, description=__doc__)
    script, args = parser.parse(argv)

    from hf_xling.contrastive.data import load_corpus
    from hf_xling.contrastive.trainer import SimCSETrainer
    from hf_xling.pretrained import check_checkpoint, quiet_transformers

    quiet_transformers()
    corpus = load_corpus(script)
    check_checkpoint(script.model_name_or_path, script.model_revision)
    if claim(args.output_dir, COMMAND, run_identity(script, args)):
        return f"{args.output_dir}: this run is already finished" if args.should_save else None
    trainer = SimCSETrainer(script.model_name_or_path, args, corpus, model_revision=script.model_revision)
    trainer.train(resume_from_checkpoint=last_checkpoint(args.output_dir))
    trainer.save_model()
    trainer.save_state()
    trainer.create_model_card()
    if args.push_to_hub:
        trainer.push_to_hub()
    if not args.should_save:
        return None
    finish(args.output_dir)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = f", loss {losses[-1]:.3f} at the end" if losses else ""
    return f"{len(corpus):,} rows, {trainer.state.global_step:,} steps{last}\nencoder: {args.output_dir}"


if __name__ == "__main__":
    sys.exit(run_command(main))
