"""Training: from a network's name and a data source to a run folder that can be resumed and repeated.

`settings.py` holds every default, `feed.py` streams and augments images, `train.py` runs the epochs, `run.py`
describes what is left on disk.
"""
