"""Write what is made from other files, or check that it is current.

crds/, the chart's copies of them, docs/reference.md, docs/metrics.md and the rows of docs/reasons.md say what
operator/tidegate says, the chart's README.md what its values.yaml and values.schema.json say, and its dashboard what
tools/dashboard.py says.

python -m tools.generate            write
python -m tools.generate --check    exit 1 and name the files that are not current
"""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.api.model import GROUP
from tools.chart import chart_readme
from tools.crds import RESOURCES, crd_yaml
from tools.dashboard import dashboard_json
from tools.metrics import metrics_page
from tools.reasons import with_advice
from tools.reference import reference

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "tidegate"
CRDS = (ROOT / "crds", CHART / "files" / "crds")
"""For kubectl, and for Helm, which does not read outside of a chart."""


def generated() -> dict[Path, str]:
    """Every generated file with its right content."""
    crds = {folder / f"{r.names.plural}.{GROUP}.yaml": crd_yaml(r) for folder in CRDS for r in RESOURCES}
    pages = {"reference.md": reference(RESOURCES), "metrics.md": metrics_page()}
    pages["reasons.md"] = with_advice((ROOT / "docs" / "reasons.md").read_text())
    pages_of_docs = {ROOT / "docs" / name: text for name, text in pages.items()}
    of_chart = {CHART / "README.md": chart_readme(CHART), CHART / "files" / "dashboard.json": dashboard_json()}
    return {**crds, **pages_of_docs, **of_chart}


def stale(files: dict[Path, str]) -> list[Path]:
    """The generated files that are missing or differ, and CRDs that no model stands behind."""
    left_over = [path for folder in CRDS for path in folder.glob("*") if path not in files]
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text] + left_over


def main(check: Annotated[bool, typer.Option(help="Only check; exit 1 if a file is not current.")] = False) -> None:
    """Write crds/, the pages of docs/ and of the chart, from what they tell of."""
    files = generated()
    names = [str(path.relative_to(ROOT)) for path in stale(files)]
    if check and names:
        typer.echo(f"not current: {', '.join(names)}. Run `make generate`.", err=True)
        raise typer.Exit(1)
    if check:
        return
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in stale(files):
        path.unlink()
    typer.echo(f"written: {', '.join(names) or 'nothing, all current'}")


if __name__ == "__main__":
    typer.run(main)
