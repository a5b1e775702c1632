"""Stage 4: predicting ratings or classes from text."""
