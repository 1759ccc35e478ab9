"""An attachment of Local-Attached."""


def double(events, context=None):
    return 2 * events["n"]
