"""ops/fused."""
