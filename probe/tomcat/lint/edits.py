"""Edits that keep an author's layout: values exchanged, attributes and elements put in, taken out, moved."""

from xml.sax.saxutils import escape  # nosec B406  # writes, does not read

from probe.tomcat.document import Element
from probe.tomcat.lint.finding import Edit


def set_value(element: Element, name: str, value: str) -> Edit:
    """Give an attribute a value, put in after the last one if it is not there."""
    written = element.attributes.get(name)
    text = escape(value, {'"': "&quot;", "'": "&apos;"}).encode()
    if written is not None:
        return Edit(written.value_start, written.value_end, text)
    last = max((one.value_end + 1 for one in element.attributes.values()), default=0)
    at = last or element.start + 1 + len(element.tag.encode())
    return Edit(at, at, b' %s="%s"' % (name.encode(), text))


def rename(element: Element, name: str, new: str) -> Edit:
    """Give an attribute another name."""
    written = element.attributes[name]
    return Edit(written.name_start, written.name_start + len(name.encode()), new.encode())


def drop_attribute(element: Element, name: str) -> Edit:
    """Take an attribute out, with the space before it."""
    written = element.attributes[name]
    return Edit(written.start, written.value_end + 1, b"")


def drop(element: Element) -> Edit:
    """Take an element out; its line too if nothing else stands there."""
    start, end = _line(element)
    return Edit(start, end, b"")


def before(element: Element, text: str) -> Edit:
    """Put a new element before one, on a line of its own if that one has its own."""
    start, _ = _line(element)
    indent = element.document.text[start : element.start]
    return Edit(element.start, element.start, text.encode() + _break(element) + indent)


def after(element: Element, text: str) -> Edit:
    """Put a new element after one."""
    start, _ = _line(element)
    indent = element.document.text[start : element.start]
    return Edit(element.end, element.end, _break(element) + indent + text.encode())


def move_before(element: Element, other: Element) -> tuple[Edit, Edit]:
    """Move an element before a sibling."""
    text = element.document.text[element.start : element.end].decode()
    return before(other, text), drop(element)


def _line(element: Element) -> tuple[int, int]:
    """Return where the element's line begins and ends if it has it for itself, else the element's own ends."""
    text = element.document.text
    start, end = element.start, element.end
    while start > 0 and text[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    while end < len(text) and text[end : end + 1] in (b" ", b"\t"):
        end += 1
    if start > 0 and text[start - 1 : start] != b"\n":
        return element.start, element.end
    if text[end : end + 2] == b"\r\n":
        return start, end + 2
    return (start, end + 1) if text[end : end + 1] == b"\n" else (element.start, element.end)


def _break(element: Element) -> bytes:
    """Return what ends the element's line, nothing if it does not stand on its own."""
    start, end = _line(element)
    if (start, end) == (element.start, element.end):
        return b""
    return b"\r\n" if element.document.text[:end].endswith(b"\r\n") else b"\n"
