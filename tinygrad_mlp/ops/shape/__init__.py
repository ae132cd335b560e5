"""ops/shape."""
