"""Print the lines of code of the package: without docstrings, comments and blank lines."""

import ast
import io
import sys
import tokenize
from pathlib import Path

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
DESCRIBED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def lines_of_code(source: str) -> int:
    """Return the number of lines that hold a token which is neither comment nor docstring."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT | {tokenize.ENDMARKER}:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DESCRIBED) and ast.get_docstring(node) is not None:
            prose = node.body[0]
            code -= set(range(prose.lineno, (prose.end_lineno or prose.lineno) + 1))
    return len(code)


if __name__ == "__main__":
    package = Path(__file__).parent.parent / "tinygrad_mlp"
    folders: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        folder = path.relative_to(package).parts[0]
        folders[folder] = folders.get(folder, 0) + lines_of_code(path.read_text(encoding="utf-8"))
    for folder, lines in folders.items() if "--by-folder" in sys.argv else ():
        print(f"{lines:7,}  {folder}")
    print(f"{sum(folders.values()):7,}  lines of code in tinygrad_mlp")
