"""_common."""
