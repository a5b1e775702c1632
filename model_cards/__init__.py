"""Jinja templates of model and dataset cards."""
