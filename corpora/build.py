"""Build two larger training texts, offline, from the Python that runs this script."""

import argparse
import ast
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))
INSTALLED = {"site-packages", "dist-packages"}
TESTS = {"test", "tests", "idle_test"}


def sources(skip: set[str]) -> Iterator[str]:
    """Yield the library's source files in path order, without the folders in `skip`."""
    paths: list[Path] = []
    for folder, subfolders, names in os.walk(STDLIB):
        subfolders[:] = set(subfolders) - skip
        paths += (Path(folder, name) for name in names if name.endswith(".py"))
    # Windows compares paths without case; their text sorts alike everywhere.
    for path in sorted(paths, key=Path.as_posix):
        try:
            yield path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue  # dangling links, and test files that are badly encoded on purpose


def docstrings(source: str) -> Iterator[str]:
    """Yield the cleaned docstrings of a module, from top to bottom."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, documented))
    for node in sorted(nodes, key=lambda n: getattr(n, "lineno", 0)):
        if text := ast.get_docstring(node):  # applies inspect.cleandoc
            yield text.strip()


def topics() -> Iterator[str]:
    """Yield the language reference that help() shows, where it is installed."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for _, text in sorted(topics.items()):
        yield text.strip()


def reference() -> str:
    """Return the language reference and every docstring, each text once."""
    texts = dict.fromkeys(topics())
    for source in sources(INSTALLED | TESTS):
        texts.update(dict.fromkeys(docstrings(source)))
    return "\n\n".join(texts) + "\n"


def write(path: Path, text: str, usual: int) -> None:
    """Put `text` at `path` whole or not at all, and say how long it is."""
    part = path.with_name(path.name + ".part")
    try:
        # An escape in a docstring can stand for a character that UTF-8 cannot hold.
        part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    print(f"{path}: {len(text)} characters")
    if len(text) < usual:
        print(
            f"build.py: {path.name} has under {usual} characters: "
            "this Python was installed without its help topics or test suite",
            file=sys.stderr,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent,
        metavar="FOLDER",
        help="where to put the texts (default: beside this script)",
    )
    out: Path = parser.parse_args().out
    if not STDLIB.is_dir():
        sys.exit(f"build.py: this Python has no source files: {STDLIB} is not a folder")
    warnings.simplefilter("ignore")  # those that parsing old code raises
    try:
        out.mkdir(parents=True, exist_ok=True)
        write(out / "python-reference.txt", reference(), 1_000_000)
        write(out / "python-stdlib.txt", "\n".join(sources(INSTALLED)), 10_000_000)
    except OSError as error:
        sys.exit(f"build.py: {error}")


if __name__ == "__main__":
    main()
