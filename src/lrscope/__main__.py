"""`python -m lrscope`: the command line."""

from lrscope.cli import main

main()
