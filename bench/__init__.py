"""Benchmarks. Each prints its figure beside a reference that ran in the same minute on the same machine.

Run `make bench` (or `python -m bench NAME …` for some). Nothing here asserts a time: machines are
noisy, ratios less so.
"""
