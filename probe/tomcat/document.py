"""An XML file as its author wrote it: each element and attribute with its place, so that it can be edited.

Read by expat, since lxml tells lines only. Entities are refused at their declaration, before one is expanded.
"""

import bisect
import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers import expat  # nosec B406

import msgspec

from probe.fields import ConfigError, shown

LARGEST_FILE: Final = 4 * 2**20
"""bytes of a server.xml or web.xml."""
MOST_ELEMENTS: Final = 20_000
DEEPEST: Final = 256
"""Elements inside each other, as libxml2 allows."""

_UTF8: Final = "utf-8"
_ENCODINGS: Final = re.compile(
    r"utf-8|us-ascii|ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|cp125\d|utf-16(le|be)?"
)
_DECLARED: Final = re.compile(rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_MARKS: Final = ((b"\xef\xbb\xbf", _UTF8), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WIDE: Final = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=<>/"']+)\s*=\s*("[^"]*"|'[^']*')""")
_NAME: Final = re.compile(rb"<[^\s/>]+")
_REFERENCE: Final = re.compile(rb"&(?!(?:lt|gt|amp|apos|quot|#[0-9]+|#x[0-9a-fA-F]+);)")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class Attribute(msgspec.Struct, frozen=True):
    """One attribute as written; ``start`` is the space before it, the value lies between its quotes."""

    name: str
    value: str
    start: int
    name_start: int
    value_start: int
    value_end: int


class Element:
    """One element; offsets are bytes of ``Document.text``."""

    __slots__ = ("attributes", "children", "document", "end", "open_end", "parent", "start", "tag")

    def __init__(self, document: "Document", parent: "Element | None", tag: str, start: int) -> None:
        self.document = document
        self.parent = parent
        self.tag = tag
        self.start = start
        self.open_end = start
        self.end = start
        self.attributes: dict[str, Attribute] = {}
        self.children: list[Element] = []

    @property
    def is_empty(self) -> bool:
        """Whether it is written ``<Name/>``."""
        return self.end == self.open_end

    @property
    def path(self) -> str:
        """Return its tags from the root, as Tomcat's Digester names a match."""
        return f"{self.parent.path}/{self.tag}" if self.parent is not None else self.tag

    def get(self, name: str) -> str | None:
        """Return an attribute's text as written."""
        attribute = self.attributes.get(name)
        return attribute.value if attribute is not None else None

    def all(self, *tags: str) -> list["Element"]:
        """Return the children with one of these tags, in order."""
        return [child for child in self.children if child.tag in tags]

    def first(self, tag: str) -> "Element | None":
        """Return the first child with this tag."""
        return next(iter(self.all(tag)), None)

    def walk(self) -> Iterator["Element"]:
        """Yield it and everything in it, in order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)


class Document:
    """A parsed file. ``text`` is its content in UTF-8, whatever its encoding."""

    def __init__(self, file: str, text: bytes, encoding: str = _UTF8, mark: bytes = b"") -> None:
        """Parse; raises ConfigError with one line."""
        self.file = file
        self.text = text
        self.encoding = encoding
        self.mark = mark
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self.root = _Builder(self).build()

    def position(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1."""
        line = bisect.bisect_right(self._lines, offset)
        before = self.text[self._lines[line - 1] : offset]
        return line, len(before.decode(_UTF8, "replace")) + 1

    def with_text(self, text: bytes) -> "Document":
        """Return another version of the same file."""
        return Document(self.file, text, self.encoding, self.mark)

    def encoded(self) -> bytes:
        """Return the bytes to write; raises UnicodeEncodeError if its encoding lacks a character."""
        return self.mark + self.text.decode(_UTF8).encode(self.encoding)


def read_document(path: Path) -> Document:
    """Read and parse a file; raises ConfigError with one line: what is wrong with it."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([f"{path}: is larger than {LARGEST_FILE} bytes: no Tomcat's file"])
    return parse_document(str(path), data)


def parse_document(file: str, data: bytes) -> Document:
    """Parse bytes; raises ConfigError with one line."""
    mark, encoding = _encoding(file, data)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{file}: is no XML: byte {error.start + len(mark)} is no {encoding}: save it as what it says"]
        ) from None
    if "\0" in text:  # expat would take it for a mark of UTF-16
        raise ConfigError([f"{file}: is no XML: it holds zero bytes"])
    return Document(file, text.encode(_UTF8), encoding, mark)


def _encoding(file: str, data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark and the encoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return mark, encoding
    for start, encoding in _WIDE:
        if data.startswith(start):
            return b"", encoding
    declared = _DECLARED.match(data)
    name = declared[1].decode("ascii").lower() if declared else _UTF8
    if not _ENCODINGS.fullmatch(name):
        raise ConfigError([f"{file}: is no XML: encoding {shown(name)} is not read: save it as UTF-8"])
    try:
        codecs.lookup(name)
    except LookupError:
        raise ConfigError([f"{file}: is no XML: there is no encoding {shown(name)}"]) from None
    return b"", name


class _Builder:
    """Makes elements of expat's events."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._parser = expat.ParserCreate(_UTF8)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity
        self._parser.AttlistDeclHandler = self._default
        self._parser.SkippedEntityHandler = self._skipped
        self._open: list[Element] = []
        self._count = 0
        self._root: Element | None = None

    def build(self) -> Element:
        """Parse everything; return the root."""
        try:
            self._parser.Parse(self._document.text, True)  # noqa: FBT003  # expat's own
        except expat.ExpatError as error:
            self._refuse(f"is no XML: {expat.errors.messages[error.code]}: line {error.lineno}")
        if self._root is None:
            self._refuse("is no XML: it is empty")
        return self._root

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigError([f"{self._document.file}: {why}"])

    def _entity(self, *_: object) -> None:
        self._refuse("declares entities: they are not read; write their text out")

    def _skipped(self, *_: object) -> None:
        self._refuse("uses an entity that it does not declare: write its text out")

    def _default(self, *_: object) -> None:
        self._refuse("declares attributes in its document type: they are not read; write them out")

    def _start(self, tag: str, values: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            self._refuse(f"has more than {MOST_ELEMENTS} elements: no Tomcat's file")
        if len(self._open) >= DEEPEST:
            self._refuse(f"is nested deeper than {DEEPEST} elements: no Tomcat's file")
        parent = self._open[-1] if self._open else None
        element = Element(self._document, parent, tag, self._parser.CurrentByteIndex)
        self._attributes(element, values)
        if parent is None:
            self._root = element
        else:
            parent.children.append(element)
        self._open.append(element)

    def _attributes(self, element: Element, values: dict[str, str]) -> None:
        """Find each attribute's place in the text; its value is expat's."""
        text = self._document.text
        name = _NAME.match(text, element.start)
        at = name.end() if name else element.start
        while match := _ATTRIBUTE.match(text, at):
            if _REFERENCE.search(match[2]):
                self._skipped()
            key = match[1].decode()
            start, end = match.span(2)
            element.attributes[key] = Attribute(key, values[key], at, match.start(1), start + 1, end - 1)
            at = match.end()
        element.open_end = text.index(b">", at) + 1

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        if self._document.text[element.open_end - 2 : element.open_end - 1] == b"/":
            element.end = element.open_end
        else:
            element.end = self._document.text.index(b">", self._parser.CurrentByteIndex) + 1
