"""MNIST to a test accuracy, one program per library: ``python -m races.ours --help``."""
