"""Training scripts for `accelerate launch`; `hf-xling simcse` and `hf-xling regression` launch the packaged ones."""
