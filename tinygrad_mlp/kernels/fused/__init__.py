"""kernels/fused."""
