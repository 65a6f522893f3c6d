"""Any Keras model as a flat tf_keras graph of built-in layers, which is what tfmot prunes and `cost` counts.

`graph.py` walks a model of either generation, `layers.py` and `operations.py` say what becomes of each layer and
operation, `weights.py` copies the weights by name, `proof.py` shows on random images that both models compute the same.
"""
