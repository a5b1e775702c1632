"""Stage 4: predicting ratings from text with a mean-squared-error head."""
