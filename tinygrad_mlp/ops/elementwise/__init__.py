"""ops/elementwise."""
