"""`python -m samsyn`."""

from samsyn.cli.main import main

main()
