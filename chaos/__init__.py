"""The whole service under seeded faults, held against its promises: `python -m chaos`."""
