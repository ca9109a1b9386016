"""`python -m demo.monitoring --prometheus URL`: the dashboard's panels as a picture, from any Prometheus."""

import time
from pathlib import Path
from typing import Annotated

import typer

from demo.monitoring import PANELS, asked, draw_panels, grid
from tidegate.simulate.prometheus import Prometheus, PrometheusError


def main(
    prometheus: Annotated[str, typer.Option(help="URL of a Prometheus that scrapes Tidegate.")],
    last: Annotated[float, typer.Option(help="Minutes to look back.", min=1)] = 10,
    rate: Annotated[str, typer.Option(help="Range of rates: at least four times the time between scrapes.")] = "2m",
    output: Annotated[Path, typer.Option(help="The PNG.")] = Path("dashboard.png"),
) -> None:
    """Ask the dashboard's own queries and draw what comes."""
    end = time.time()
    moments = grid(end - 60 * last, end)
    try:
        found = asked(Prometheus(prometheus), PANELS, moments, rate)
    except PrometheusError as error:
        raise typer.BadParameter(str(error), param_hint="--prometheus") from None
    draw_panels(output, found, moments, moments[0])
    typer.echo(f"written: {output}")


if __name__ == "__main__":
    typer.run(main)
