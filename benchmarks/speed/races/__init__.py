"""MNIST to an accuracy, each contestant a program of its own: ``python -m races.ours --help``."""
