"""The components of a cluster, one actor a file; `actors.kernel` is what every actor stands on.

Imported as `tucano.actors`: the code lies at the top of the repository, the name lies under `tucano`.
"""

if __name__ != "tucano.actors":
    raise ImportError(f"import this package as 'tucano.actors', not as {__name__!r}")
