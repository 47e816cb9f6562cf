"""Bad input at volume: `python -m tests.fuzz` feeds every reader of outside bytes with mutated valid input.

The law is the same for each: rows, or a rejection with a documented reason; never another exception, never a hang,
bounded memory, the neighbours unharmed, and the same again for the same bytes.
"""
