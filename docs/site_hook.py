"""Hook of mkdocs: adds pages and files from outside `docs/` to the site, and corrects the links to them."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
_PAGES = {
    "README.md": "index.md",
    "models/README.md": "models.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def _source(page: str) -> str:
    """Return the path of a page in the repository."""
    return next((source for source, name in _PAGES.items() if name == page), f"docs/{page}")


def _place(path: str) -> str:
    """Return the path in the site of a file of the repository. Files outside `docs/` are below `source/`."""
    if path in _PAGES:
        return _PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}"


def _targets(page: str, markdown: str) -> dict[str, str]:
    """Return the links of a page to files of the repository -> the path of the file in the repository."""
    folder = posixpath.dirname(_source(page))
    links = {match[1] for match in _LINK.finditer(markdown) if "://" not in match[1]}
    return {link: posixpath.normpath(posixpath.join(folder, link)) for link in links}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of `_PAGES`, and every file outside `docs/` that a page links to. Of a folder, add a list of its files."""
    for source, name in _PAGES.items():
        files.append(File.generated(config, name, content=(_ROOT / source).read_text(encoding="utf-8")))
    for page in list(files.documentation_pages()):
        for path in _targets(page.src_uri, page.content_string).values():
            target = _ROOT / path
            if path.startswith("docs/") or path in _PAGES or files.get_file_from_path(_file_in_site(path)) is not None:
                continue
            if target.is_dir():
                listing = "\n".join(sorted(each.name for each in target.iterdir() if not each.name.startswith((".", "__"))))
                files.append(File.generated(config, _file_in_site(path), content=f"{listing}\n"))
            elif target.is_file():
                files.append(File.generated(config, _file_in_site(path), content=target.read_bytes()))
    return files


def _file_in_site(path: str) -> str:
    """Return the path in the site of a linked file: text is shown, not downloaded."""
    place = _place(path)
    suffix = Path(path).suffix
    return (
        place if path.startswith("docs/") or path in _PAGES or suffix in (".png", ".svg", ".webp", ".txt") else f"{place}.txt"
    )


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Replace links to files of the repository by links of the site."""
    targets = _targets(page.file.src_uri, markdown)
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in targets:
            return match[0]
        link = posixpath.relpath(_file_in_site(targets[match[1]]), folder or ".")
        return f"]({link}{match[2] or ''})"

    return _LINK.sub(replaced, markdown)
