"""See `tests.bench.peers`."""

import sys

from tests.bench.peers import serve

serve(sys.argv[1])
