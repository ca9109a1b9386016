"""Write crds/, docs/reference.md and docs/metrics.md from the code they tell of, or check that they are current.

python -m tools.generate            write
python -m tools.generate --check    exit 1 and name the files that are not what the code says
"""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.api.model import GROUP
from tools.crds import RESOURCES, crd_yaml
from tools.metrics import metrics_page
from tools.reference import reference

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    """Every generated file with its right content."""
    crds = {ROOT / "crds" / f"{r.names.plural}.{GROUP}.yaml": crd_yaml(r) for r in RESOURCES}
    pages = {"reference.md": reference(RESOURCES), "metrics.md": metrics_page()}
    return {**crds, **{ROOT / "docs" / name: text for name, text in pages.items()}}


def stale(files: dict[Path, str]) -> list[Path]:
    """The generated files that are missing or differ, and CRDs that no model stands behind."""
    left_over = [path for path in (ROOT / "crds").glob("*") if path not in files]
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text] + left_over


def main(check: Annotated[bool, typer.Option(help="Only check; exit 1 if a file is not current.")] = False) -> None:
    """Write crds/, docs/reference.md and docs/metrics.md from the code they tell of."""
    files = generated()
    names = [str(path.relative_to(ROOT)) for path in stale(files)]
    if check and names:
        typer.echo(f"not what operator/tidegate says: {', '.join(names)}. Run `make generate`.", err=True)
        raise typer.Exit(1)
    if check:
        return
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for path in stale(files):
        path.unlink()
    typer.echo(f"written: {', '.join(names) or 'nothing, all current'}")


if __name__ == "__main__":
    typer.run(main)
