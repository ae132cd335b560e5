"""Who is measured in a training step, each in a file.

``step(workload, library)`` makes what is called over and over. A call returns the loss (or the
outputs, where a workload only asks) when all that it changes is really there. What a library cannot
express is None.
"""
