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
from hf_xling.runs import claim, finish, is_finished


def main(argv: Sequence[str]) -> str | None:
    """Parse, build, train, save, evaluate; return the closing lines."""
    from hf_xling.contrastive.config import COMMAND, SimCSEConfig, SimCSEScriptArguments, run_identity
    from hf_xling.training.adapters import LoraArguments

    parser = RecipeParser([SimCSEScriptArguments, SimCSEConfig, LoraArguments], prog=COMMAND, description=__doc__)
    script, args, lora = parser.parse(argv)

    from hf_xling.contrastive.course import trained_in_words
    from hf_xling.contrastive.data import load_all, load_lineage
    from hf_xling.contrastive.trainer import SimCSETrainer
    from hf_xling.hub.push import ModelPush
    from hf_xling.training.config import newest_checkpoint
    from hf_xling.training.pretrained import quiet_transformers

    quiet_transformers()
    corpus, held_out, sts, corpora, pairs = load_all(script)
    lineage = load_lineage(script, args, corpora)
    identity = run_identity(script, args, lora)
    push = ModelPush(args, is_finished(args.output_dir, COMMAND, identity))
    if claim(args.output_dir, COMMAND, identity):
        told = [f"{args.output_dir}: this run is already finished", *push.publish()]
        return "\n".join(told) if args.should_save else None
    options = {"peft_config": lora.config("FEATURE_EXTRACTION"), "sts_dataset": sts, "lineage": lineage}
    options["model_revision"] = script.model_revision
    trainer = SimCSETrainer(script.model_name_or_path, args, corpus, held_out, **options)
    trainer.train(args.resume_from_checkpoint or newest_checkpoint(args))
    trainer.save_model()
    if trainer.eval_dataset is not None:  # whatever the strategy: of what was saved
        trainer.save_metrics("eval", {**trainer.evaluate(), **trainer.unknown_shares})
    trainer.save_state()
    trainer.create_model_card()
    if not args.should_save:
        return None
    finish(args.output_dir, repo_id=args.hub_model_id)
    told = [trained_in_words(trainer.train_dataset, trainer.state, pairs), f"encoder: {args.output_dir}"]
    return "\n".join([*told, *push.publish()])


if __name__ == "__main__":
    sys.exit(run_command(main))
