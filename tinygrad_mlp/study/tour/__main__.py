"""Print chapters of the tour, and write their pages."""

import sys
from importlib import import_module

from ..page import page
from ..watch import watch
from . import CHAPTERS


def main(names: list[str]) -> int:
    """Print the chapters ``names``, by default all, and write a page for each."""
    unknown = [name for name in names if name not in CHAPTERS]
    if unknown:
        print(f"no chapter is called {unknown[0]!r}; there are: {', '.join(CHAPTERS)}")
        return 2
    for name in names or CHAPTERS:
        chapter = import_module(f"{__package__}.{name}")
        print(chapter.__doc__)
        with watch():
            loss, given = chapter.example()
        title = str(chapter.__doc__).splitlines()[0].rstrip(".")
        page(loss, f"{name}.html", names=given, title=title)
        print(f"wrote {name}.html: open it in a browser\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
