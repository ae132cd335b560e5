"""kernels/runtime."""
