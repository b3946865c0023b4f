"""What the room costs, beside others that do the same: ``python -m benchmarks --help``."""
