"""What the experiments share: options, the folder of results, tables, pictures, the report.

How to write an experiment
==========================

A script is a file of about 100 lines in this folder that reads like a notebook, from top to bottom.
Its docstring says what is shown, and begins with one line that becomes the title; ``--help`` and
the report print it. ``run`` does the work with an `Experiment`, and the last line starts it::

    '''One line that says what is compared.

    What there is to see, the equations, and the source.
    '''

    import numpy as np
    from common import Experiment, main

    import tinygrad_mlp as tg


    def run(experiment: Experiment) -> None:
        epochs = experiment.pick(full=100, quick=20, tiny=2)
        tg.manual_seed(experiment.seed)
        ...
        experiment.table("Accuracy", [{"network": "2-3", "accuracy": 0.5}, ...])
        experiment.picture("boundary", figure, "What the picture shows.")
        experiment.check("accuracy of 2-100-3", accuracy, at_least=0.98)
        experiment.record(accuracy=accuracy, losses=losses)


    if __name__ == "__main__":
        main(run, __doc__)

- ``pick`` returns the value for the size of this run: *full* gives the figures of the text, *quick*
  (``--quick``) takes at most 45 seconds on two cores, *tiny* (``--tiny``) 4 seconds: it only shows
  that the script works, so its checks are printed and do not fail.
- Everything random follows from ``experiment.seed``.
- ``picture`` takes a matplotlib figure (of `figure_of`, ``tg.train.curves``, ``boundary``, ...) or
  a list of them, which stand side by side. ``file`` is for pictures and files of other kinds.
- ``record`` puts values into ``DIR/result.json``, at the top level. ``check`` compares a figure
  with its target; a missed target makes the exit status 1.
- What more than one script needs belongs into the package or, if it is about reports, here.
- Register the script in ``__main__.py`` by its name. The smoke test finds it there.

The folder
==========

A folder that has files is not written to unless ``--overwrite`` is given. Each file is written
under another name and then renamed; ``result.json`` and ``report.html`` are written last. So a
folder without ``result.json`` is that of an interrupted run, and no file is ever half-written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from html_report import Row, as_cell, page
from rich.console import Console
from rich.table import Table

import tinygrad_mlp as tg
from tinygrad_mlp._common.files import atomic_write, writable_folder

sys.path.append(str(Path(__file__).parents[1] / "speed"))
from processor import as_text, describe

Value = TypeVar("Value")
RESULT, REPORT = "result.json", "report.html"
OWN = ("experiment", "title", "about", "seed", "size", "seconds", "machine", "checks", "items")


class Experiment:
    """One run of an experiment: its options, and what it has shown so far.

    Attributes:
        name: that of the script.
        seed: the number from which everything random follows.
        size: "full", "quick" or "tiny".
        folder: where the results are written.
    """

    def __init__(self, name: str, about: str, seed: int, size: str, folder: Path) -> None:
        self.name, self.seed, self.size, self.folder = name, seed, size, folder
        self.title, self.about = about.strip().split("\n", 1)[0].rstrip("."), about.strip()
        width = None if sys.stdout.isatty() else 120
        self.console = Console(highlight=False, soft_wrap=True, width=width)
        self.values: dict[str, Any] = {}
        self.checks: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = []
        self.start = time.perf_counter()

    def pick(self, *, full: Value, quick: Value, tiny: Value) -> Value:
        """Return the value for the size of this run."""
        return {"full": full, "quick": quick, "tiny": tiny}[self.size]

    def say(self, text: str) -> None:
        """Print a paragraph, and put it into the report."""
        self.console.print(text, markup=False)
        self.items.append({"text": text})

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Print rows of named values as a table, and put it into the report."""
        cells = [{name: as_cell(value) for name, value in row.items()} for row in rows]
        names = list(dict.fromkeys(name for row in cells for name in row))
        table = Table(title=title, title_justify="left")
        for name in names:
            numbers = all(isinstance(row.get(name), int | float | np.number) for row in rows)
            table.add_column(name, justify="right" if numbers else "left")
        for row in cells:
            table.add_row(*(row.get(name, "") for name in names))
        self.console.print(table)
        self.items.append({"table": title, "rows": cells})

    def picture(self, name: str, figure: Any, caption: str) -> None:
        """Write a matplotlib figure, or a list of them side by side, to ``NAME.png``.

        It becomes a picture of the report.
        """
        with self.file(f"{name}.png", caption) as path:
            if isinstance(figure, Sequence):
                importlib.import_module("matplotlib.image").imsave(path, side_by_side(figure))
            else:
                figure.savefig(path, dpi=110)

    @contextmanager
    def file(self, name: str, caption: str = "") -> Iterator[Path]:
        """Yield a path to write a file to; at the end it is in the folder as ``name``.

        With a caption the file is a picture for the report: PNG, GIF or SVG.
        """
        with atomic_write(self.folder / name) as path:
            yield path
        self.console.print(f"wrote {self.folder / name}", markup=False)
        if caption:
            self.items.append({"picture": name, "caption": caption})

    def check(
        self,
        what: str,
        value: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        headline: bool = False,
    ) -> bool:
        """Compare a figure with its target, print the verdict, and return whether it was met.

        The headline is the figure that stands for the experiment in the report of all.
        """
        low, high = -math.inf if at_least is None else at_least, at_most
        passed = bool(low <= value <= (math.inf if high is None else high))
        limits = [f"at least {as_cell(at_least)}"] * (at_least is not None)
        limits += [f"at most {as_cell(at_most)}"] * (at_most is not None)
        found = {"what": what, "value": value, "wanted": " and ".join(limits), "met": passed}
        self.checks.append(found | {"headline": True} if headline else found)
        verdict = "met" if passed else "MISSED"
        text = f"{verdict}: {what} is {as_cell(value)}, wanted {found['wanted']}"
        self.console.print(text, markup=False)
        return passed

    def record(self, **values: Any) -> None:
        """Put values into ``result.json``."""
        if taken := values.keys() & {*OWN, *self.values}:
            raise ValueError(f"record: {min(taken)!r} is in the result already; use another name")
        self.values |= values

    def finish(self) -> int:
        """Write ``result.json`` and ``report.html``; return the exit status."""
        seconds = time.perf_counter() - self.start
        result = dict(
            experiment=self.name,
            title=self.title,
            about=self.about,
            seed=self.seed,
            size=self.size,
            seconds=seconds,
            machine=as_text(describe()),
            **self.values,
            checks=self.checks,
            items=self.items,
        )
        text = json.dumps(plain(result), indent=1, allow_nan=False) + "\n"
        with atomic_write(self.folder / REPORT) as path:
            path.write_text(page([(plain(result), self.folder)]), encoding="utf-8")
        with atomic_write(self.folder / RESULT) as path:
            path.write_text(text, encoding="utf-8")
        self.console.print(f"{self.name}: {seconds:.1f} seconds; results in {self.folder}")
        return int(self.size != "tiny" and not all(check["met"] for check in self.checks))


def figure_of(rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.2, 3.6)) -> Any:
    """Return a matplotlib figure and its axes, in a list row by row; each axes has this size."""
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'the pictures need matplotlib; pip install "tinygrad-mlp[plot]" installs it'
        ) from None
    inches = (columns * size[0], rows * size[1])
    figure = figures.Figure(figsize=inches, facecolor="white", layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def side_by_side(figures: Sequence[Any]) -> np.ndarray:
    """Return figures of one height as one image, bytes (height, width, 4)."""
    canvas = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
    images = []
    for figure in figures:
        figure.set_dpi(80)
        drawn = canvas(figure)
        drawn.draw()
        images.append(np.asarray(drawn.buffer_rgba()))
    return np.concatenate(images, axis=1)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: lists for arrays and tensors, None for inf and nan."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic | tg.Tensor):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


# --- the command line ---


def seed(text: str) -> int:
    """Return the value of ``--seed``."""
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {value}")
    return value


def parser(about: str, name: str) -> argparse.ArgumentParser:
    """Return the options that every experiment has."""
    options = argparse.ArgumentParser(
        prog=f"{name}.py", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--seed", type=seed, default=0, help="seed of everything random (default: 0)")
    out = Path("experiments", name)
    add("--out", type=Path, metavar="DIR", default=out, help=f"write results here (default: {out})")
    form = options.add_mutually_exclusive_group().add_argument
    form("--quick", action="store_true", help="the short form: less than a minute")
    form("--tiny", action="store_true", help="the shortest form: shows only that the script works")
    add("--overwrite", action="store_true", help="write into a folder that has files")
    return options


def claim(folder: Path, overwrite: bool) -> Path:
    """Return a folder to write into, without the result of an earlier run.

    Raises:
        FileExistsError: it has files, and ``overwrite`` is not given.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not overwrite:
        raise FileExistsError(f"{folder} exists; choose another --out, or give --overwrite")
    folder = writable_folder(folder)
    for name in (RESULT, REPORT):
        (folder / name).unlink(missing_ok=True)
    return folder


def main(
    run: Callable[[Experiment], None], about: str | None, arguments: Sequence[str] | None = None
) -> None:
    """Run an experiment from the command line; ``about`` is the docstring of its script."""
    name, about = Path(run.__code__.co_filename).stem, about or run.__name__
    options = parser(about, name).parse_args(arguments)
    try:
        folder = claim(options.out, options.overwrite)
        size = "tiny" if options.tiny else "quick" if options.quick else "full"
        experiment = Experiment(name, about, options.seed, size, folder)
        run(experiment)
        status = experiment.finish()
    except (OSError, ModuleNotFoundError) as error:  # no data, no library, no folder
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        print(f"{name}: interrupted; {options.out} has no {RESULT}", file=sys.stderr)
        status = 130
    if status:
        sys.exit(status)
