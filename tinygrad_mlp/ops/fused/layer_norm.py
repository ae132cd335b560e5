"""Layer normalisation.

Kernels: ``kernels/fused/layer_norm.py``.
"""

# Textbook forms compute on tensors and print as formulas: their types would all be Any.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...kernels.fused import layer_norm as kernels
from ...kernels.runtime.launch import Launch
from ...kernels.runtime.layout import Layout, dense
from ..shape.view import contiguous
from ..validation import as_floating
from .batch_norm import InBlocks
from .declare import Fused, float_bits, like_or_filled

if TYPE_CHECKING:
    from ..._tensor import Tensor


class LayerNorm(Fused):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and var of each row of x.

    A row has as many elements as weight and bias. Further outputs, one number per row: mean, and
    r = 1 / sqrt(var + eps).
    """

    def lower(self, x: Layout, weight: Layout, *more: Any) -> tuple[list[Layout], list[Launch]]:
        rows = dense(x.shape[: x.ndim - weight.ndim], x.dtype)
        launches = [_over_rows("layer_norm", 6, x, weight, more[-1])] if x.size else []
        return [dense(x.shape, x.dtype), rows, rows], launches


class LayerNormBackward(InBlocks):
    """The gradients of `layer_norm` by x, weight and bias, from the statistics that it computed."""

    def lower(
        self, g: Layout, x: Layout, weight: Layout, *more: Any
    ) -> tuple[list[Layout], list[Launch]]:
        column = dense(weight.shape, x.dtype)
        launches = [_over_rows(part, 9, x, weight, 0.0) for part in ("backward", "backward_totals")]
        launches[1].work *= 0.05
        return [dense(x.shape, x.dtype), column, column], launches


def _over_rows(what: str, operands: int, x: Layout, weight: Layout, eps: float) -> Launch:
    kernel = kernels.address(what, str(x.dtype))
    constants = [x.size // max(weight.size, 1), weight.size, float_bits(eps)]
    return Launch(kernel, operands, constants, x.size * 0.5)


def _textbook(x, weight, bias, *, eps):
    dims = tuple(range(-weight.ndim, 0))
    mean = x.mean(dims, keepdim=True)
    r = 1 / (((x - mean) ** 2).mean(dims, keepdim=True) + eps).sqrt()
    rows = x.shape[: x.ndim - weight.ndim]
    return (x - mean) * r * weight + bias, mean.reshape(rows), r.reshape(rows)


def _textbook_backward(g, x, weight, mean, r):
    dims, leading = tuple(range(-weight.ndim, 0)), tuple(range(x.ndim - weight.ndim))
    column = (*mean.shape, *(1 for _ in dims))
    h = (x - mean.reshape(column)) * r.reshape(column)
    d = g * weight
    g_x = d - d.mean(dims, keepdim=True) - h * (d * h).mean(dims, keepdim=True)
    return r.reshape(column) * g_x, (g * h).sum(leading), g.sum(leading)


_layer_norm_backward = LayerNormBackward.of(
    "layer_norm_backward", _textbook_backward, "g_x g_weight g_bias"
)
_layer_norm = LayerNorm.of("layer_norm", _textbook, "out mean r", vjp=_layer_norm_backward)


# --- the public form: PyTorch's signature ---


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last axes, those of ``normalized_shape``, then scale and shift.

        out = (x - mean) / sqrt(var + eps) * weight + bias

    with the mean and the variance of each sample over these axes.

    Args:
        input: (..., *normalized_shape), floating.
        normalized_shape: the sizes of the last axes.
        weight: of ``normalized_shape``, ones if not given.
        bias: of ``normalized_shape``, zeros if not given.
        eps: added to the variance.

    Raises:
        ValueError: ``input`` does not end in ``normalized_shape``.
        TypeError: dtypes differ or are not floating.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv 1607.06450.

    >>> import tinygrad_mlp as tg
    >>> import tinygrad_mlp.nn.functional as F
    >>> F.layer_norm(tg.tensor([[1.0, 3.0], [0.0, 8.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    input = as_floating("layer_norm", "input", input)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    own = input.layout.shape
    if not shape or own[max(len(own) - len(shape), 0) :] != shape:
        raise ValueError(
            f"layer_norm: `input` of shape {own} does not end in normalized_shape {shape}"
        )
    scale = like_or_filled("layer_norm", "weight", weight, input, shape, 1.0)
    offset = like_or_filled("layer_norm", "bias", bias, input, shape, 0.0)
    out: Tensor = _layer_norm(*map(contiguous, (input, scale, offset)), eps=float(eps))[0]
    return out
