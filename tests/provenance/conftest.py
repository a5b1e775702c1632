from corpus_fixtures import corpus, files, stage_1, tamil  # noqa: F401
