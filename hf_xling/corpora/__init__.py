"""Stage 2: generated rows become datasets that `load_dataset` reads."""
