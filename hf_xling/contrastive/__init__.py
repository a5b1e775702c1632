"""Stage 3: training a sentence encoder with the SimCSE objective."""
