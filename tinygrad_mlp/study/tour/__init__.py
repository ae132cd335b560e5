"""A tour of reverse mode in ten chapters, each a text whose numbers are computed as it is read.

``python -m tinygrad_mlp.study.tour scalar_chain`` prints a chapter and writes its page,
``scalar_chain.html``; without a name, all of them. Read in this order:

1. ``scalar_chain.py``: a function of numbers, and the chain rule.
2. ``the_tape.py``: what is recorded, and how long it is kept.
3. ``broadcasting.py``: repeated elements, and the sums that undo them.
4. ``a_layer.py``: the three gradients of a linear layer.
5. ``softmax_cross_entropy.py``: why the gradient is as simple as (softmax - onehot) / N.
6. ``an_optimizer.py``: from gradients to steps.
7. ``in_place_and_views.py``: writes into memory that a gradient needs.
8. ``second_derivatives.py``: the gradient of a gradient.
9. ``tape_to_program.py``: a step that is recorded once and run without Python.
10. ``loops_to_tiles.py``: a matrix product, from three loops to tiles.

``example()`` of a chapter returns the loss of its page, and the names of its tensors.
"""

CHAPTERS = (
    "scalar_chain",
    "the_tape",
    "broadcasting",
    "a_layer",
    "softmax_cross_entropy",
    "an_optimizer",
    "in_place_and_views",
    "second_derivatives",
    "tape_to_program",
    "loops_to_tiles",
)
