"""Celery workers that train the neuron."""

import os

# The parent process forks a child whenever one dies. If one of its threads is in a matrix product
# just then, OpenBLAS waits for its own threads inside of that fork, for ever. With one thread it
# has none to wait for. It reads this when NumPy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
