from corpus_fixtures import built, corpus, files, stage_1, tamil  # noqa: F401
