"""How fast the service is, and against what: `python -m benchmarks`."""
