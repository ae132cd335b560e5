"""The ops: each is declared once, with forward, gradient rule, shape rule and textbook form.

To add an op:

1. Declare it. An elementwise op is a formula, a gradient rule and a first line of documentation in
   a file of ``elementwise/``: `elementwise.declare.elementwise` makes the kernel, the function
   ``tg.NAME``, the method ``Tensor.NAME`` and the NumPy ufunc of them. The formula uses operators
   and the functions of ``kernels/codegen/expression.py``. A rule is ``lambda g, ...``: ``g`` is the
   gradient of the result, the other names are inputs or ``out``; it is written with ops, such as
   ``exp`` and ``where`` of this folder. For a view see `shape.view.View`, for a reduction
   `reduce.Reduce`, for kernels made by hand `fused.declare.Fused`, for an optimizer
   `fused.optimizer_update.Update`.
2. Add a row to ``tests/ops/rows_*.py``: a NumPy reference, inputs, special values and kinks
   (``tests/ops/table.py`` has an example). ``python -m tests.test_public_api`` lists the new name.
3. If it is not an elementwise op, add the public form to the same file, its name to
   ``tinygrad_mlp/__init__.py`` or ``nn/functional.py``, and its method to ``_tensor.py``.

Read in this order: ``elementwise/`` (from scalar formulas), ``shape/`` (views, indexing, joining),
``reduce.py`` and ``reduce_plan.py`` (sums, extrema, variances), ``broadcasting.py`` (sum over
broadcast axes), ``fused/`` (kernels made by hand). Then ``random.py`` (draws), ``create.py`` (new
tensors), ``derived.py`` (functions that need no op), ``numpy_interop.py`` (NumPy functions on
tensors), ``validation.py`` (checks of arguments) and ``value_check.py`` (checks of values, also in
compiled steps).
"""
