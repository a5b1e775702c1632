"""Stage 2: source sentences, generated rows and rated texts become datasets that `load_dataset` reads."""
