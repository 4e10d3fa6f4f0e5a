"""Celery workers that train the neuron."""
