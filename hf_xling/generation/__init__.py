"""Stage 1: text in, augmented text out, through a text-generation endpoint. Needs no torch."""
