"""Write results of experiments as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import html
import mimetypes
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

Row = Mapping[str, Any]
NUMBER = re.compile(r"-?[\d,]*\.?\d+(e[+-]?\d+)?( s|x|%)?|nan|-?inf|")

STYLE = """
:root { color-scheme: light dark; --text: #2b2f36; --faint: #626a75; --line: #d9dce1;
  --page: #fff; --link: #1f5fbf; --met: #17753b; --missed: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #d8dce2; --faint: #99a1ac; --line: #3a4049;
  --page: #16191e; --link: #84b1f5; --met: #6fcf8f; --missed: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p, ul, ol { max-width: 44rem; }
a { color: var(--link); overflow-wrap: anywhere; }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
pre, .table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
caption { text-align: left; font-weight: bold; }
td, th { padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left; }
.number { text-align: right; }
.overview table { white-space: normal; width: 100%; }
.overview td { vertical-align: top; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .overview th { display: none; }
  .overview tr, .overview td { display: block; text-align: left; }
  .overview tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .overview td { border: 0; padding: 0; } }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; }
figure { margin: 0; min-width: 0; }
img { display: block; max-width: 100%; max-height: 32rem; background: #fff; border-radius: 4px; }
@media (max-width: 40rem) { figure { max-width: 100%; overflow-x: auto; }
  img { max-width: none; height: 14rem; } }
figcaption { width: 0; min-width: 100%; }
figcaption, .faint { color: var(--faint); }
.met { color: var(--met); }
.missed { color: var(--missed); font-weight: bold; }
"""


def page(results: Sequence[tuple[Row, Path]], title: str = "", failed: Sequence[str] = ()) -> str:
    """Return one self-contained HTML page.

    Args:
        results: contents of ``result.json`` and the folder with the pictures, for each experiment.
        title: that of the page; by default that of the first experiment.
        failed: names of experiments that have no result.
    """
    title = escape(title or results[0][0]["title"])
    several = len(results) + len(failed) > 1
    contents = overview([result for result, _ in results], failed) if several else ""
    body = "\n".join(section(result, folder, heading=several) for result, folder in results)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n{contents}{body}\n</body></html>\n"
    )


def overview(results: Sequence[Row], failed: Sequence[str]) -> str:
    """Return the table of contents: main figure, targets met and time of each experiment."""
    rows = []
    for result in results:
        name, checks = result["experiment"], result["checks"]
        link = (
            f'<a href="#{name}">{name}</a><br><span class="faint">{escape(result["title"])}</span>'
        )
        row = {"experiment": Markup(link)}
        if checks:
            main = next((check for check in checks if check.get("headline")), checks[-1])
            row["main figure"] = f"{main['what']}: {figure(main)}, wanted {main['wanted']}"
        rows.append(row | {"targets": targets_met(checks), "time": f"{result['seconds']:.1f} s"})
    rows += [{"experiment": name, "targets": verdict(False, "failed")} for name in failed]
    size, machine = results[0]["size"], escape(results[0]["machine"])
    note = "; it shows only that the scripts work, and its targets may be missed"
    form = f"The {size} form{note * (size == 'tiny')}. Seed {results[0]['seed']}. {machine}."
    return f'<div class="overview">{table("", rows)}</div>\n<p class="faint">{form}</p>\n'


def figure(check: Row) -> str:
    """Return the value of a check; JSON has null for nan and infinity."""
    return "not finite" if check["value"] is None else as_cell(check["value"])


def verdict(met: bool, text: str = "") -> str:
    """Return a verdict in its colour."""
    kind = "met" if met else "missed"
    return Markup(f'<span class="{kind}">{text or ("met" if met else "MISSED")}</span>')


def targets_met(checks: Sequence[Row]) -> str:
    """Return how many targets were met."""
    met = sum(check["met"] for check in checks)
    if not checks:
        return "no targets"
    missed = f"MISSED {len(checks) - met} of {len(checks)}"
    return verdict(met == len(checks), f"met {met}" if met == len(checks) else missed)


def section(result: Row, folder: Path, heading: bool = True) -> str:
    """Return the HTML of one result: what it shows, its tables, pictures and checks."""
    about = result["about"].split("\n", 1)[1] if "\n" in result["about"] else ""
    name = result["experiment"]
    parts = [f'<h2 id="{name}">{escape(result["title"])}</h2>'] if heading else []
    parts.append(prose(about))
    for kind, items in groupby(result["items"], lambda item: next(iter(item))):
        if kind == "picture":
            figures = "".join(picture(folder / each["picture"], each["caption"]) for each in items)
            parts.append(f'<div class="pictures">{figures}</div>')
        elif kind == "table":
            parts += [table(each["table"], each["rows"]) for each in items]
        else:
            parts.append(f"<p>{'<br>'.join(escape(each['text']) for each in items)}</p>")
    checks = [
        {
            "figure": each["what"],
            "value": figure(each),
            "wanted": each["wanted"],
            "": verdict(each["met"]),
        }
        for each in result["checks"]
    ]
    parts.append(table("Targets", checks) if checks else "")
    run = f"{name}.py, {result['size']} form, seed {result['seed']}: {result['seconds']:.1f} s"
    parts.append(f'<p class="faint">{run}; {escape(result["machine"])}</p>')
    return "\n".join(parts)


def prose(text: str) -> str:
    """Return the paragraphs, lists and indented blocks of a docstring as HTML."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if not block.strip():
            continue
        if block.startswith(" "):
            parts.append(f"<pre>{escape(textwrap.dedent(block))}</pre>")
        elif items := re.findall(r"^(?:\d+\.|-) (.*(?:\n .*)*)", block, re.MULTILINE):
            kind = "ul" if block.startswith("-") else "ol"
            parts.append(f"<{kind}>{''.join(f'<li>{inline(i)}</li>' for i in items)}</{kind}>")
        else:
            parts.append(f"<p>{inline(block)}</p>")
    return "\n".join(parts)


def inline(text: str) -> str:
    """Return text with its code and its addresses marked up."""
    marked = re.sub(r"(`{1,2})([^`]+)\1", r"<code>\2</code>", escape(" ".join(text.split())))
    return re.sub(r"https?://[^\s<]+[^\s<.,)]", r'<a href="\g<0>">\g<0></a>', marked)


def table(title: str, rows: Sequence[Row]) -> str:
    """Return rows of text as an HTML table; columns of numbers are aligned right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    right = {
        name: ' class="number"'
        for name in names
        if all(NUMBER.fullmatch(str(row.get(name, ""))) for row in rows)
    }
    head = "".join(f"<th{right.get(name, '')}>{escape(name)}</th>" for name in names)
    lines = [
        "".join(f"<td{right.get(name, '')}>{escape(row.get(name, ''))}</td>" for name in names)
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<div class="table"><table>{caption}<tr>{head}</tr>\n{body}</table></div>'


def picture(path: Path, caption: str) -> str:
    """Return a picture as HTML that contains the file, so that the page needs no other."""
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


class Markup(str):
    """Text that is HTML already."""


def escape(text: object) -> str:
    """Return text for HTML."""
    return text if isinstance(text, Markup) else html.escape(str(text))


def as_cell(value: Any) -> str:
    """Return a value as text: numbers with thousands separators or 4 significant digits."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1000 else f"{value:.4g}"
