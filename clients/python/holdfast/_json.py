"""JSON: the form that states are saved in, and finding a member's own bytes in a document."""

import json
from typing import Any, Dict, List, Tuple

from .errors import Invalid, StoreFailed

_WHITE = " \t\n\r"
# Numbers are not made: only where things begin and end counts here, and Python limits how long an int may be.
_SKIPPER = json.JSONDecoder(parse_int=len, parse_float=len)


def to_bytes(value: Any) -> bytes:
    """One value always gives the same bytes: keys as they are, no white space, UTF-8, no NaN."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"save the state as JSON: {error}",
                      hint='use JSON values, or format="pickle" for other Python objects') from error


def from_bytes(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise Invalid(f"load the state as JSON: {error}", code="bad_json",
                      hint='it was saved as something else: use format="bytes" or format="pickle"') from error


def _behind_white(text: str, at: int) -> int:
    while text[at:at + 1] and text[at] in _WHITE:
        at += 1
    return at


def _members(text: str) -> Dict[str, Tuple[int, int]]:
    spans: Dict[str, Tuple[int, int]] = {}
    at = _behind_white(text, 0)
    if text[at:at + 1] != "{":
        raise ValueError("it is not an object")
    at = _behind_white(text, at + 1)
    while text[at] != "}":
        key, at = _SKIPPER.raw_decode(text, at)
        at = _behind_white(text, at)
        begin = _behind_white(text, at + 1)  # behind the colon
        _, at = _SKIPPER.raw_decode(text, begin)
        spans[key] = (begin, at)
        at = _behind_white(text, at)
        if text[at] == ",":
            at = _behind_white(text, at + 1)
    return spans


def split_document(document: bytes, member: str) -> Tuple[Dict[str, Any], str]:
    """The document's other members, read, and the text of this one exactly as it stands there ("" when it is not)."""
    try:
        text = document.decode("utf-8")
        spans = _members(text)
        others: List[str] = [f"{json.dumps(key)}:{text[begin:end]}" for key, (begin, end) in spans.items()
                             if key != member]
        begin, end = spans.get(member, (0, 0))
        return json.loads("{" + ",".join(others) + "}"), text[begin:end]
    except (ValueError, IndexError) as error:
        raise StoreFailed(f"read the daemon's reply: {error}", code="io") from error


def split_array(document: bytes) -> List[bytes]:
    """The items, each exactly as it stands there."""
    try:
        text = document.decode("utf-8")
        items: List[bytes] = []
        at = _behind_white(text, text.index("[") + 1)
        while text[at] != "]":
            _, end = _SKIPPER.raw_decode(text, at)
            items.append(text[at:end].encode("utf-8"))
            at = _behind_white(text, end)
            if text[at] == ",":
                at = _behind_white(text, at + 1)
        return items
    except (ValueError, IndexError) as error:
        raise StoreFailed(f"read the daemon's reply: {error}", code="io") from error
