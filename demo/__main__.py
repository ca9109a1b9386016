"""`python -m demo`: play the demo."""

import sys

from demo.shop.story import main

sys.exit(main())
