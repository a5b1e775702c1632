"""Recipes: YAML for `--config`."""
