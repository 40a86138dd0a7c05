"""Lanes whose truth is known without lrscope's rules, family by family, for `benchmarks/judge.py`."""
