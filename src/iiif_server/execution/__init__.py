"""The pool of worker processes: affinity, deadlines, crash isolation, admission."""
