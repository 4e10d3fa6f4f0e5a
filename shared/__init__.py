"""What the API and the worker both need: the neuron, its data, the job and its store."""

__version__ = "0.1.0"
