"""Benchmarks: what this machine stores, counts and shows. `python -m tests.bench`, or `make bench`."""
