"""What pyrt costs, beside its peers on the same machine in the same minutes: ``pytest --benchmark-only``.

``python -m benchmarks.report`` runs them too and writes docs/benchmarks.md.
"""
