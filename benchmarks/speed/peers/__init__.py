"""The libraries whose training step is measured, one per file.

``step(workload, library)`` returns the function that is timed. A call of it returns the loss (or
the outputs, for inference) after all parameters have been updated. ``step`` returns None for a
workload that the library cannot express.
"""
