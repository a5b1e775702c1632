"""Who made what, from what, under which licence."""
