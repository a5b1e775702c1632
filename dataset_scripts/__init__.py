"""One script for each published corpus."""
