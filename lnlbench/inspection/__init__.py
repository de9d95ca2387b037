"""What a trained method looks at, restores and has learned: arrays and numbers for figures. Draws and prints nothing.

A kept model is put back into the job it was trained for (`restore`), then looked at from the evaluator's side: the
true labels that are used here never reach the method.
"""

from __future__ import annotations


class NotThere(Exception):
    """A trained job that does not give what was asked for; the message is why, as a sentence."""
