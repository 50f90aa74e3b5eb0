"""The HTTP API: the paths and objects of the platform whose client people already have.

In: requests that the guard let in. Out: its objects, cursors and streams, made from what
`operations` answers. Decides nothing, and knows no ledger.
"""
