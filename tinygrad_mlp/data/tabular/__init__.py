"""data/tabular."""
