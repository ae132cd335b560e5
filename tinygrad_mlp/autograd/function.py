"""`Function`: an op defined by a user, with its own forward and backward."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from . import modes, tape
from .op import Op, Rule
from .tape import Lookup, Params, Value

if TYPE_CHECKING:
    from .._tensor import Tensor


class Context:
    """What the forward of a `Function` passes to its backward.

    ``ctx.save_for_backward(*tensors)`` keeps tensors, and detects in-place changes of them; any
    other value may be an attribute. ``ctx.needs_input_grad`` is a bool for each input.

    >>> import tinygrad_mlp as tg
    >>> class Power(Function):
    ...     @staticmethod
    ...     def forward(ctx, x, exponent):
    ...         ctx.save_for_backward(x)
    ...         ctx.exponent = exponent
    ...         return x**exponent
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         if not ctx.needs_input_grad[0]:
    ...             return None, None
    ...         (x,) = ctx.saved_tensors
    ...         return gradient * ctx.exponent * x ** (ctx.exponent - 1), None
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Power.apply(x, 3).backward()
    >>> x.grad
    tensor(12.)
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._saved: list[tuple[Any, int]] = []  # with the version of each
        self._results: dict[int, int] = {}  # index of a saved tensor -> the output that it is
        self._node: weakref.ref[tape.Node] | None = None  # weak: the node owns this context
        self._constant: set[int] = set()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for backward."""
        self._saved = [(t, 0 if t is None else t.storage.version) for t in tensors]

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Mark outputs that have no gradient."""
        self._constant = {id(t) for t in tensors}

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors; RuntimeError if one was changed in place since."""
        for k, (value, version) in enumerate(self._saved):
            if value is not None and value.storage.version != version:
                raise RuntimeError(
                    f"saved tensor {k}, of shape {value.shape}, was changed in place after "
                    "save_for_backward; save a clone"
                )
        return tuple(self._on_tape(k, value) for k, (value, _) in enumerate(self._saved))

    def _on_tape(self, k: int, value: Any) -> Any:
        """Return saved tensor ``k``, an output with its node: for second derivatives."""
        node = None if self._node is None else self._node()
        if k not in self._results or node is None:
            return value
        output = value.alias()
        output.node, output.slot = node, self._results[k]
        output.requires_grad = output.slot in node.op.differentiable
        return output


class Function:
    """An op defined by a user: subclass it, write forward and backward, call ``apply``.

    ``forward(ctx, *inputs)`` computes with tensors, without recording. ``backward(ctx, *grads)``
    takes one gradient per output and returns one per input, None for an input without one.

    >>> import tinygrad_mlp as tg
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         (x,) = ctx.saved_tensors
    ...         return gradient * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any, **params: Any) -> Any:
        """Compute the result, a tensor or a tuple of tensors."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *inputs)")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute the gradients of the inputs, from those of the outputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Any:
        """Run forward, and record the op on the tape."""
        op = _FunctionOp(cls, inputs, params)
        result = tape.apply(op, tuple(value for value in inputs if isinstance(value, Value)))
        node = (result[0] if isinstance(result, tuple) else result).node
        op.context._node = None if node is None else weakref.ref(node)
        return result


class _FunctionRule(Rule):
    """The rule of a Function's op. Its reference is weak, so that op and rule form no cycle."""

    def __init__(self, op: _FunctionOp):
        self.reference, self.needed = weakref.ref(op), ()

    def __call__(self, gradient: Any, lookup: Lookup, create_graph: bool) -> list[Any]:
        op = self.reference()
        assert op is not None, "the node that calls the rule owns the op"
        if modes.recording() is None or create_graph:
            return op.pullback(gradient)
        return _PullbackOp(op).gradients(gradient)


class _PullbackOp(Op):
    """The backward of one call of a `Function`, as an op in a `Record`."""

    python_only = True

    def __init__(self, forward: _FunctionOp):
        self.forward = forward
        self.found: list[Any] = []
        super().__init__(f"{forward.name}.backward", ("g",), register=False)
        del self.planned

    def gradients(self, gradient: Any) -> list[Any]:
        """Return the gradients of the forward's inputs, None for an input without one."""
        given = tuple(gradient) if isinstance(gradient, list) else (gradient,)
        applied = tape.apply(self, given)
        results = iter((applied,) if len(self.outputs) == 1 else applied)
        return [None if each is None else next(results) for each in self.found]

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        with modes.unrecorded():
            self.found = self.forward.pullback(list(inputs) if len(inputs) > 1 else inputs[0])
        results = tuple(each for each in self.found if each is not None)
        self.outputs = tuple(f"g{k}" for k in range(len(results)))
        return results


class _FunctionOp(Op):
    """One call of a `Function`, as an op. A compiled step returns to Python for it."""

    python_only = True

    def __init__(self, function: type[Function], arguments: tuple[Any, ...], params: Params):
        self.function, self.keywords = function, params
        self.places = [k for k, value in enumerate(arguments) if isinstance(value, Value)]
        self.shapes = {k: arguments[k].layout.shape for k in self.places}
        self.arguments = [None if k in self.places else v for k, v in enumerate(arguments)]
        self.context = Context()
        self.context.needs_input_grad = tuple(
            isinstance(value, Value) and value.requires_grad for value in arguments
        )
        names = [f"x{k}" for k in range(len(self.places))]
        super().__init__(function.__name__, names, register=False)
        del self.planned  # a cached method would form a cycle

    def make_joint_rule(self) -> Rule:
        return _FunctionRule(self)

    def run(self, inputs: tuple[Value, ...], params: Params) -> tuple[Value, ...]:
        context, arguments = self.context, list(self.arguments)
        for place, value in zip(self.places, inputs, strict=True):
            arguments[place] = value
        context._results = {}
        with modes.grad_mode(False), modes.unrecorded():
            result = self.function.forward(context, *arguments, **self.keywords)
        results = result if isinstance(result, tuple) else (result,)
        for k, value in enumerate(results):
            if not isinstance(value, Value):
                raise TypeError(
                    f"{self.name}.forward must return tensors, not {type(value).__name__} "
                    f"(output {k})"
                )
        self.outputs = tuple(f"out{k}" for k in range(len(results)))
        constant = [v.dtype.kind != "f" or id(v) in context._constant for v in results]
        self.differentiable = tuple(k for k, fixed in enumerate(constant) if not fixed)
        # An input that forward returns would be its own ancestor on the tape: return an alias.
        given = {id(value) for value in inputs}
        results = tuple(v.alias() if id(v) in given else v for v in results)
        for k, (value, version) in enumerate(context._saved):
            for slot, output in enumerate(results):
                if value is output:  # save an alias: the output owns the node that owns the context
                    context._saved[k] = (value.alias(), version)
                    context._results[k] = slot
        return results

    def pullback(self, gradients: Any) -> list[Any]:
        """Run the user's backward; return the gradients of the tensor inputs, checked."""
        given = gradients if isinstance(gradients, list) else [gradients]
        result = self.function.backward(self.context, *given)
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(self.arguments):
            raise RuntimeError(
                f"{self.name}.backward returned {len(results)} gradients for "
                f"{len(self.arguments)} inputs of forward; return one each, None for what has none"
            )
        for place in self.places:
            shape, gradient = self.shapes[place], results[place]
            if gradient is not None and not isinstance(gradient, Value):
                raise TypeError(
                    f"{self.name}.backward: gradient {place} must be a tensor or None, not "
                    f"{type(gradient).__name__}"
                )
            if gradient is not None and gradient.layout.shape != shape:
                raise RuntimeError(
                    f"{self.name}.backward: gradient {place} has shape {gradient.layout.shape}, "
                    f"its input has {shape}"
                )
        return [results[place] for place in self.places]
