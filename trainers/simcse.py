"""Train a sentence encoder with SimCSE.

accelerate launch trainers/simcse.py --model_name_or_path bert-base-multilingual-cased \\
    --dataset_name org/snli-tamil-paraphrased --dataset_config sentences --output_dir encoders/snli-tamil

Rows with a `positive` column are text pairs; without it the two views of a sentence are two dropout masks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hf_xling.console import run_command
from hf_xling.recipes import RecipeParser, given_fields
from hf_xling.runs import claim, content_hash, finish, last_checkpoint


def main(argv: Sequence[str]) -> str | None:
    """Parse, build, train, save; return the closing lines."""
    from hf_xling.contrastive.config import SimCSEConfig, SimCSEScriptArguments

    parser = RecipeParser([SimCSEScriptArguments, SimCSEConfig], prog="trainers/simcse.py", description=__doc__)
    script, args = parser.parse(argv)

    from hf_xling.contrastive.data import load_corpus
    from hf_xling.contrastive.trainer import SimCSETrainer
    from hf_xling.pretrained import quiet_transformers

    quiet_transformers()
    corpus = load_corpus(script)
    hashes = {
        name: content_hash(getattr(script, name)) for name in ("dataset_name", "train_file", "model_name_or_path")
    }
    identity = {**given_fields(script, args), "hashes": hashes}
    if claim(args.output_dir, "trainers/simcse.py", identity):
        return f"{args.output_dir}: this run is already finished" if args.should_save else None
    trainer = SimCSETrainer(script.model_name_or_path, args, corpus, model_revision=script.model_revision)
    result = trainer.train(resume_from_checkpoint=last_checkpoint(args.output_dir))
    trainer.save_model()
    trainer.save_state()
    trainer.create_model_card()
    if args.push_to_hub:
        trainer.push_to_hub()
    if not args.should_save:
        return None
    finish(args.output_dir, steps=result.global_step, train_loss=result.training_loss)
    return (
        f"{len(corpus):,} rows, {result.global_step:,} steps, mean loss {result.training_loss:.3f}\n"
        f"encoder: {args.output_dir}"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
