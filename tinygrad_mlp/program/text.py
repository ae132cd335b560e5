"""A program in print: numbered lines, one an instruction, with the shape of what it makes."""

from __future__ import annotations

from .ir import INPUT, MADE, STATE, Buffer, Instruction, Program, Region


def text(program: Program) -> str:
    """The program as a person reads it."""
    names = _Names(program)
    lines = ["inputs"]
    lines += [f"  {names(region):<28}{_array(region)}" for region in program.inputs]
    calls = [(i, names.call(i)) for i in program.instructions]
    width = min(max((len(call) for _, call in calls), default=0) + 2, 84)
    lines.append("program")
    for number, (instruction, call) in enumerate(calls, 1):
        made = ", ".join(_array(region) for region in instruction.outputs[:1])
        lines.append(f"  {number:>3}  {call:<{width}}{made}".rstrip())
    kept = [names(region) for region in program.results]
    lines += [f"returns {', '.join(kept)}"] if kept else []
    return "\n".join(lines)


def _array(region: Region) -> str:
    return f"{region.layout.dtype} {region.layout.shape}"


class _Names:
    """What each buffer is called: its own name, or the number of the line that makes it."""

    def __init__(self, program: Program):
        self.names: dict[Buffer, str] = {}
        for number, instruction in enumerate(program.instructions, 1):
            for k, region in enumerate(instruction.outputs):
                if region.buffer.kind == MADE and region.buffer not in self.names:
                    name = f"%{number}" if not k else f"%{number}.{instruction.op.outputs[k]}"
                    self.names[region.buffer] = name

    def __call__(self, region: Region) -> str:
        buffer = region.buffer
        name = self.names.get(buffer, buffer.name)
        if buffer.kind == STATE and region.layout.size == 1 and name.startswith("state"):
            return _constant(region)
        layout = region.layout
        if region.whole or (buffer.kind in (INPUT, STATE) and layout.contiguous):
            return name
        if layout.ndim == 2 and layout.strides[0] == layout.dtype.itemsize:
            return f"{name}.T"
        return f"{name}{list(layout.shape)}"

    def call(self, instruction: Instruction) -> str:
        made = [self(r) for r in instruction.outputs[:1] if r.buffer.kind == MADE]
        own = instruction.op.inputs
        given = [self(region) for region in instruction.inputs]
        params = [f"{k}={v}" for k, v in instruction.params.items() if v is not False]
        mutated = [given[k] for k in instruction.op.mutates if k < len(own)]
        target = ", ".join(mutated or made)
        python = "  # in Python" if instruction.in_python else ""
        body = f"{instruction.name}({', '.join([*given, *params])}){python}"
        return f"{target} = {body}" if target else body


def _constant(region: Region) -> str:
    from ..ops.values import as_array
    from ..tape import new

    value = new(region.buffer.owner, region.layout, region.buffer.address + region.offset)
    return f"{as_array(value).item():g}"
