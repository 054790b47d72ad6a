"""What may be logged of an error."""

import re

from cardiacseg.errors import Error, NetworkError
from cardiacseg.network.durable import NO_SPACE, code_of


def loggable(error: Exception) -> str:
    """The sentence of a ``NetworkError``; of others a code or the type's name: texts may hold file names or values."""
    if isinstance(error, NetworkError):
        return str(error)
    code = re.match(r"E_\w+", str(error)) if isinstance(error, Error) else None
    if code:
        return code[0]
    return NO_SPACE if code_of(error) == NO_SPACE else type(error).__name__
