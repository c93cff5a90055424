"""Writes the reference from the code that it describes, and checks the links: `python -m tools.docs`.

`build/docs/limits.md` and `errors.md` come from the modules themselves, `settings.toml` from the settings' own
descriptions, docs/conformance/dicom.md from the tables of the DICOM door. A link of a tracked page that leads nowhere
fails.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from samsyn import errors, limits
from tools import dicom_statement

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "build" / "docs"


def limits_page(source: str) -> str:
    """A table of every limit with its value and the reason that stands under it."""
    lines = ["# Limits", "", "| Limit | Value | Reason |", "|---|---:|---|"]
    body = ast.parse(source).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        reason = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            reason = " ".join(str(following.value.value).split())
        value = getattr(limits, node.target.id)
        lines.append(f"| `{node.target.id}` | {value:,} | {reason} |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """A table of every refusal: code, public sentence, whether trying again helps."""
    lines = ["# Refusals", "", "| Code | What is told | Again later? |", "|---|---|---|"]
    for kind in errors.SamsynError.__subclasses__():
        lines.append(f"| `{kind.code}` | {kind.sentence} | {'yes' if kind.may_retry else 'no'} |")
    return "\n".join(lines) + "\n"


def pages() -> list[Path]:
    """The tracked Markdown pages."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in sorted(set(done.stdout.splitlines())) if (ROOT / name).exists()]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Links of one page to files or headings that are not there."""
    found = []
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        # Screenshots are made by the browser test.
        if "://" in link or link.startswith(("mailto:", "docs/screenshots/")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            found.append(f"{page.relative_to(ROOT)}: {link} leads nowhere")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{page.relative_to(ROOT)}: {link} names no heading there")
    return found


def main() -> int:
    """Writes the pages; 1 when a link is dead."""
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / "limits.md").write_text(limits_page(Path(limits.__file__).read_text(encoding="utf-8")))
    (TARGET / "errors.md").write_text(errors_page())
    settings = subprocess.run(
        [sys.executable, "-m", "samsyn", "config"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    (TARGET / "settings.toml").write_text(settings.stdout)
    dicom_statement.main()
    found = [complaint for page in pages() for complaint in dead_links(page)]
    for complaint in found:
        print(complaint, file=sys.stderr)
    print(f"Reference written to {TARGET.relative_to(ROOT)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
