"""The card of a model: its lineage, the chain of licences that it makes, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hf_xling
from hf_xling.generation.languages import iso_code
from hf_xling.hub.cards import render_card
from hf_xling.hub.contents import PLACEHOLDER, README
from hf_xling.hub.results import Evidence, model_index, write_eval_results
from hf_xling.provenance.licences import Licensing, Published, check_publishable, licensing
from hf_xling.provenance.lineage import Base, Lineage
from hf_xling.provenance.origins import Corpus, licensing_parts
from hf_xling.provenance.terms import Terms, stated_terms
from hf_xling.runs import write_text
from hf_xling.tables import HUB_ID, SPLITS


def write_model_card(
    folder: str | Path,
    template: str,
    lineage: Lineage,
    name: str | None,
    metadata: Mapping[str, Any],
    evidence: Evidence | None,
    measured_with: str = "test",
    **facts: Any,
) -> None:
    """Write the card of a trained model, and `.eval_results/` where it was measured on a dataset of the Hub.

    Args:
        folder: of the model.
        template: `encoder_card`, `regressor_card` or `ensemble_card`.
        lineage: of the model; its last training is the one that made it.
        name: on the Hub; None while it has none.
        metadata: front matter beside lineage, licences and results.
        evidence: what was measured; None if nothing was.
        measured_with: what the corpus that it was measured on was used for (`Corpus.rows`).
        facts: what else the template shows.
    """
    chain = model_licensing(lineage, name)
    last = lineage.trainings[-1] if lineage.trainings else None
    on = next((corpus for corpus in last.corpora if measured_with in corpus.rows), None) if last else None
    front = {
        "library_name": "transformers",
        **chain.front,
        **_ancestors(lineage),
        **metadata,
    }
    if evidence is not None and evidence.values and on is not None:
        split = on.split or (measured_with if _is_id(on) and measured_with in SPLITS else None)
        part = {"config": on.config, "split": split, "revision": on.revision}
        called = (name or template.removesuffix("_card")).split("/")[-1]
        front["model-index"] = model_index(called, front["pipeline_tag"], evidence, on.name, _is_id(on), **part)
        if _is_id(on) and split is not None:
            write_eval_results(folder, evidence, on.name, on.config, split, on.revision)
    shown = {"lineage": lineage, "license": chain, "evidence": evidence, "repo_id": name or PLACEHOLDER}
    shown |= {"on": on.name if on else None, "base": last.base.name if last else None}
    text = render_card(template, front, {**shown, "version": hf_xling.__version__, **facts})
    write_text(Path(folder) / README, text)


def model_licensing(lineage: Lineage, name: str | None = None) -> Licensing:
    """The chain of licences of a model: of the sources and generators of all it learnt from, and of its first weights.

    Args:
        lineage: of the model.
        name: under which it is published; None while it has none.
    """
    sources, generators, questions = licensing_parts(lineage.trained_on())
    bases = [training.base for training in lineage.trainings]
    questions += [f"{base.name}: what it was trained on could not be read." for base in bases if base.unread]
    roots = {base.name: _stated(base) for base in bases if not base.recorded}
    return licensing(sources, generators, Published("model", name), bases=roots, questions=questions)


def check_model_publishable(lineage: Lineage, name: str) -> None:
    """Refuse a plain breach of a licence and warn of open questions, before a model is trained for, or sent to, `name`.

    Raises:
        InputError: the Hub takes no such name, or a licence asks for another; the message has the way out.
    """
    check_publishable(model_licensing(lineage, name))


def hub_name(args: Any) -> str:
    """Under which name a Trainer with these arguments publishes its model."""
    return args.hub_model_id or Path(args.output_dir).resolve().name


def _stated(of: Base) -> Terms | None:
    return stated_terms(of.name, of.license, of.license_name, of.license_link)


def _ancestors(lineage: Lineage) -> dict[str, Any]:
    """The nearest base on the Hub, the datasets there, and the languages of what was learnt from."""
    bases = [training.base.name for training in lineage.trainings if _is_id(training.base)]
    # What a model was only measured with is neither its training data nor its language.
    corpora = [
        corpus
        for training in lineage.trainings
        for corpus in training.corpora
        if {"train", "validation"} & {*corpus.rows}
    ]
    codes = [iso_code(code) for corpus in corpora for code in corpus.languages]
    return {
        "base_model": next(reversed(bases), None),
        "datasets": list(dict.fromkeys(corpus.name for corpus in corpora if _is_id(corpus))),
        "language": list(dict.fromkeys(code for code in codes if code)),
    }


def _is_id(of: Corpus | Base) -> bool:
    return of.sha256 is None and HUB_ID.match(of.name) is not None
