"""Stage 5: the grid of experiments, their baselines and their report."""
