"""Self-contained HTML pages: one head and style for all, and a body, style and script for each."""

from importlib.resources import files
from string import Template


def whole(folder: str, title: str, **parts: str) -> str:
    """Return a page.

    Args:
        folder: package with its own page.html (the body, with a $name for each part), page.css and
            page.js.
        title: its title, HTML.
        parts: the parts of the body by name, HTML.
    """
    frame, style = (
        (files("charrnn.display") / f"page.{kind}").read_text("utf-8") for kind in ("html", "css")
    )
    body, own, script = (
        (files(folder) / f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
    return Template(frame).substitute(
        title=title, style=style + own, body=Template(body).substitute(parts), script=script
    )
