"""Who is measured in a training step, each in a file: `step(workload)` is what is called over and
over, and returns the loss (or the outputs, where a workload only asks) when it is really there.
None, or nothing, for what one cannot express.
"""
