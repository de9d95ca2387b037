"""`python -m lnlbench` is `lnlbench`."""

from lnlbench.cli import main

main()
