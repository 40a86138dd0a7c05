"""Fork: whether Blocks can be trained in forked processes of this one."""

import multiprocessing
import os
import sys

import torch


def can_fork() -> bool:
    """Return True if this process can be forked and its children can train.

    A process that may use an accelerator cannot: torch's backward passes refuse to run in its children.
    Systems other than Linux can be forked, but their libraries do not survive it. A process of a pool may
    have no children.
    """
    forks = sys.platform.startswith("linux") and hasattr(os, "fork")
    allowed = not multiprocessing.current_process().daemon
    return forks and allowed and not torch.accelerator.is_available()
