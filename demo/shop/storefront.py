"""The storefront of the shop: `python -m demo.shop.storefront`, a second service that obeys the same flags.

It makes a few pages a second, for visitors who are not simulated, and asks for each page by OFREP which features are
on. While recommendations are off a page has none; while receipts are off it says that they come later.

Environment:
    OFREP_URL         http://host:port                     required
    PAGES             pages a second                       2
    SIGHTINGS         file for the changes that it sees    none: they are only logged
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping

from demo.shop.environment import optional_path, positive
from demo.shop.features import RECEIPTS, RECOMMENDATIONS, Features, remote


def page(on: Callable[[str], bool]) -> tuple[str, ...]:
    """What a page has on it."""
    suggestions = ("you might also like",) if on(RECOMMENDATIONS) else ()
    receipt = "your receipt is on its way" if on(RECEIPTS) else "your receipt follows later"
    return ("your points", *suggestions, receipt)


def serve(features: Features, pages: float, stopping: threading.Event) -> int:
    """Make pages until stopped; how many were made."""
    made = 0
    while not stopping.wait(1 / pages):
        page(features.on)
        made += 1
    return made


def main(env: Mapping[str, str] = os.environ) -> int:
    """Run until SIGTERM or SIGINT; 2 for a wrong environment."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
    logging.getLogger("openfeature").setLevel(logging.CRITICAL)  # an operator that is away is no news twice a second
    if not env.get("OFREP_URL"):
        print("storefront: set OFREP_URL in the environment (python -m pydoc demo.shop.storefront)", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    process = f"{env.get('HOSTNAME', 'storefront')}/{os.getpid()}"
    features = Features("storefront", process, remote(env["OFREP_URL"]), optional_path(env, "SIGHTINGS"))
    logging.info("%d pages made", serve(features, positive(env, "PAGES", "2"), stopping))
    return 0


if __name__ == "__main__":
    sys.exit(main())
