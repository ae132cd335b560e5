"""kernels/codegen."""
