"""From a trained Keras model to a bundle: recipes name the steps, the pipeline runs and caches them.

A recipe (`recipe.py`, `recipes/*.yaml`) lists steps; `pipeline.py` runs each one once for the same inputs; the steps
themselves live in `pruning/`, `export.py` and `quantization/`.
"""
