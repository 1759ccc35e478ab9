"""How much of a script's output is reported, and how what is cut off is marked.

Source: recordings of the real agent (limits and marks), its published rules for which half is cut.
"""

STANDARD_LIMIT = 24_000  # characters of either stream
JOINED_LIMIT = 2_500  # characters of both streams together
STANDARD_MARK = "--output truncated--"
ERROR_TITLE = "\n----------ERROR-------\n"
OUTPUT_MARK = "\n---Output truncated---"
ERROR_MARK = "\n---Error truncated----"


def standard(text: str) -> str:
    """One stream, as `standardOutput` and `standardError` hold it."""
    return text if len(text) <= STANDARD_LIMIT else _cut(text, STANDARD_LIMIT, STANDARD_MARK)


def joined(output: str, errors: str) -> str:
    """Both streams, as `output` holds them: the longer one is cut first, each keeps half if both are long."""
    if not errors:
        return output if len(output) <= JOINED_LIMIT else _cut(output, JOINED_LIMIT, OUTPUT_MARK)
    room = JOINED_LIMIT - len(ERROR_TITLE)
    half = room // 2
    if len(output) + len(errors) > room:
        if len(output) <= half:
            errors = _cut(errors, room - len(output), ERROR_MARK)
        elif len(errors) <= half:
            output = _cut(output, room - len(errors), OUTPUT_MARK)
        else:
            output, errors = _cut(output, half, OUTPUT_MARK), _cut(errors, half, ERROR_MARK)
    return f"{output}{ERROR_TITLE}{errors}"


def _cut(text: str, length: int, mark: str) -> str:
    return text[: length - len(mark)] + mark
