"""Helpers that every folder may import. The files can be read in any order.

``validation.py``      checks of integers and names among arguments, with one wording for errors
``array.py``           the type of a NumPy array
``random.py``          random generators keyed by seed, purpose and number
``files.py``           atomic writes, and folders that are checked before they are needed
``fork.py``            locks that are free in a forked child, and what else a child drops
``startup.py``         Ctrl-C and errors while the command line is imported
``change_counter.py``  a counter of changes to modules, for the guards of compiled functions
"""
