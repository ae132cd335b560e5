"""Tables and arrays in files as datasets.

From a CSV file to arrays, in reading order:

1. ``csv_reader.py``    CSV file -> ``Table``: text cells, each with its line number
2. ``columns.py``       one column -> numbers: ``Numeric``, ``Categorical``, ``Standardizer``
3. ``preprocessor.py``  all columns -> ``x`` and ``y``: ``Preprocessor``, fitted to training rows
4. ``csv_dataset.py``   ``csv()``: reads, splits, fits and applies the preprocessor -> ``Dataset``

``npz.py`` reads ``.npz`` files: it replaces ``csv_reader.py`` and ``csv_dataset.py``.
"""
