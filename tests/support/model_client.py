"""What a client process does with models, and what must not be in their repositories."""

import importlib
import os
import zipfile
from io import BytesIO
from unittest.mock import patch

# What the client process does. Nothing of Hugging Face may be imported out here.


def run_script(script, argv):
    # Given as an option, the token is nowhere else.
    with patch.dict(os.environ, {"HF_TOKEN": ""} if "--hub_token" in argv else {}):
        return importlib.import_module(f"hf_xling.trainers.{script}").main(argv)


def by_automodel(name, texts, base=None):
    """Vectors of the first token; with `base`, `name` is an adapter of it."""
    from peft import PeftModel
    from transformers import AutoModel

    model = AutoModel.from_pretrained(base or name)
    model = model if base is None else PeftModel.from_pretrained(model, name)
    return forward(model, name, texts).last_hidden_state[:, 0].tolist()


def by_peft(name, texts, base):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    return forward(PeftModel.from_pretrained(model, name), name, texts).logits[:, 0].tolist()


def forward(model, name, texts):
    import torch
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(name)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**tokens)


def by_sentence_transformers(name, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(name, device="cpu").encode(texts, show_progress_bar=False).tolist()


def by_pipeline(name, texts):
    from transformers import pipeline

    return [each["score"] for each in pipeline("text-classification", name, function_to_apply="none")(texts)]


def by_rater(name, texts, revision=None):
    from hf_xling.regression.rater import Rater

    return Rater.load(name, revision).logits(texts)[:, 0].tolist()


def by_ensemble(name, texts):
    from hf_xling import RatingEnsemble

    ratings = RatingEnsemble.from_pretrained(name).predict(texts)
    return ratings.mean.tolist(), ratings.members.tolist()


def make_dataset(name):
    from huggingface_hub import HfApi

    HfApi().create_repo(name, repo_type="dataset", exist_ok=True)


def push_by_trainer(kind, base, folder, name):
    from datasets import Dataset

    import hf_xling

    texts = ["a boy", "a girl"]
    columns = {"anchor": texts} if kind == "SimCSE" else {"text": texts, "label": [1.0, 2.0]}
    options = {"output_dir": folder, "push_to_hub": True, "hub_model_id": name, "report_to": "none", "use_cpu": True}
    config, trainer = (getattr(hf_xling, f"{kind}{part}") for part in ("Config", "Trainer"))
    options |= {"per_device_train_batch_size": 2, "eval_strategy": "no", "max_length": 16}
    trainer(base, config(**options), Dataset.from_dict(columns)).push_to_hub()


def push_ensemble(members, name):
    from hf_xling import RatingEnsemble
    from hf_xling.regression.rater import Rater

    return RatingEnsemble([Rater.load(member) for member in members]).push_to_hub(name)


def pickles(repo):
    """Paths of files, of any commit, that are pickles by name or content: torch saves them in a zip."""

    def is_pickle(path, content):
        if path.endswith((".bin", ".pt", ".pth", ".pkl")) or content.startswith((b"\x80\x02", b"\x80\x04")):
            return True
        file = BytesIO(content)
        return zipfile.is_zipfile(file) and any(name.endswith(".pkl") for name in zipfile.ZipFile(file).namelist())

    return sorted({path for path, content in repo.contents() if is_pickle(path, content)})


def holding(repo, *words):
    """Paths of files, of any commit, that hold one of `words`."""
    return sorted({path for path, content in repo.contents() if any(word.encode() in content for word in words)})
