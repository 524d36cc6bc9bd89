"""`python -m hitwall` is the `hitwall` command."""

from hitwall.cli import main

main()
