"""Policy at the edges: what may be written, what may be reached, what may be shown.

In come a wish and what the files allow; out comes a decision with its reason. Nothing here
knows runs, the ledger or a provider, so that every room can ask the same question.
"""
