"""What a model is, and the contracts that every stage shares.

Networks (`models`), data (`data`), training (`training`), reports (`report`), and the contracts: preprocessing,
bundles, results, errors. The contracts import with only numpy and Pillow, as a Raspberry Pi has them.
"""

__version__ = "0.1.0"
