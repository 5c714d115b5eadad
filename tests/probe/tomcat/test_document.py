"""An XML file with its places: read as Tomcat's parser would, and refused where it is hostile."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clusters import alone

from probe.fields import ConfigError
from probe.tomcat.document import DEEPEST, LARGEST_FILE, MOST_ELEMENTS, Document, parse_document, read_document

FILE = """<?xml version="1.0"?>
<!DOCTYPE Server>
<Server
   port = "8005"  shutdown='a &lt; "b"'>
  <!-- <Gone/> -->
  <?order gone?>
  <Größe é="ü"/> <Last a="1">text &amp; more</Last >
</Server>
"""


def refused(data: bytes) -> str:
    """Return why bytes are refused."""
    with pytest.raises(ConfigError) as error:
        parse_document("FILE", data)
    (line,) = error.value.problems
    return line


def test_places() -> None:
    """Every element and attribute knows its line and column, and its bytes."""
    document = parse_document("FILE", FILE.encode())
    server, size, last = list(document.root.walk())
    assert document.position(server.start) == (3, 1)
    assert document.position(server.attributes["port"].name_start) == (4, 4)
    assert document.position(size.start) == (7, 3)
    assert document.position(last.start) == (7, 18)  # characters, not bytes
    assert (server.get("port"), server.get("shutdown"), server.get("absent")) == ("8005", 'a < "b"', None)
    assert size.get("é") == "ü"
    assert document.text[size.start : size.end].decode() == '<Größe é="ü"/>'
    assert document.text[last.start : last.end].decode() == '<Last a="1">text &amp; more</Last >'
    assert (size.is_empty, last.is_empty, last.path) == (True, False, "Server/Last")
    for element in document.root.walk():
        for one in element.attributes.values():
            quoted = document.text[one.value_start - 1 : one.value_end + 1]
            assert quoted[:1] == quoted[-1:]
            assert quoted[:1] in (b'"', b"'")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252", "utf-8-sig"]
)
def test_encodings(encoding: str) -> None:
    """A file is read in the encoding that it says, and written back the same."""
    name = encoding.removesuffix("-sig").removesuffix("-le")
    data = FILE.replace('version="1.0"', f'version="1.0" encoding="{name}"').encode(encoding)
    document = parse_document("FILE", data)
    assert document.root.children[0].get("é") == "ü"
    assert document.encoded() == data


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends(line_end: str) -> None:
    """Lines are counted whatever ends them."""
    document = parse_document("FILE", line_end.join(["<a>", "<b/>", "</a>"]).encode())
    assert document.position(document.root.children[0].start) == (2, 1)


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
HOSTILE = {
    "billion laughs": (f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]><s>&l9;</s>', "declares entities"),
    "laughs in an attribute": (f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]><s a="&l9;"/>', "declares entities"),
    "an external entity": ('<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s>&x;</s>', "declares ent"),
    "a parameter entity": (
        '<!DOCTYPE s [<!ENTITY % x SYSTEM "file:///etc/passwd">%x;]><s/>',
        "declares entities",
    ),
    "an entity of elsewhere": ('<!DOCTYPE s SYSTEM "s.dtd"><s a="&x;"/>', "uses an entity"),
    "an entity of elsewhere, in text": ('<!DOCTYPE s SYSTEM "s.dtd"><s>&x;</s>', "uses an entity"),
    "an entity of nowhere": ("<s>&x;</s>", "undefined entity"),
    "default attributes": ('<!DOCTYPE s [<!ATTLIST s a CDATA "1">]><s/>', "declares attributes"),
    "deep": ("<a>" * 100_000 + "</a>" * 100_000, f"nested deeper than {DEEPEST}"),
    "many": ("<s>" + "<a/>" * (MOST_ELEMENTS + 1) + "</s>", f"more than {MOST_ELEMENTS} elements"),
    "empty": ("", "no element found"),
    "words": ("not xml", "syntax error"),
    "cut": ("<s><a>", "no element found"),
    "two roots": ("<s/><s/>", "junk after document element"),
    "twice": ("<s a='1' a='2'/>", "duplicate attribute"),
    "zeros": ("\0" * 4096, "holds zero bytes"),
    "an encoding nobody knows": (
        '<?xml version="1.0" encoding="x-none"?><s/>',
        "is not read: save it as UTF-8",
    ),
    "an encoding that runs": (
        '<?xml version="1.0" encoding="zlib_codec"?><s/>',
        "is not read: save it as UTF-8",
    ),
    "an encoding of no number": ('<?xml version="1.0" encoding="iso-8859-99"?><s/>', "there is no encoding"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    """Whatever it is, the answer is one short line that says why."""
    text, why = HOSTILE[name]
    line = refused(text.encode())
    assert line.startswith("FILE: ")
    assert why in line
    assert len(line) < 200
    assert line.isprintable()


def test_a_file_that_is_not_its_encoding() -> None:
    """Bytes that the encoding has not are refused with their place."""
    assert refused(b"<s a='\xff'/>") == "FILE: is no XML: byte 6 is no utf-8: save it as what it says"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A file beyond the bound is not parsed; one that is not there is told."""
    file = tmp_path / "server.xml"
    with file.open("wb") as sparse:
        sparse.truncate(100 * 2**20)
    with pytest.raises(ConfigError, match=f"is larger than {LARGEST_FILE} bytes"):
        read_document(file)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_document(tmp_path / "absent")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


def parsed(data: bytes) -> Document | None:
    """Return a document, None if it was refused in one line."""
    try:
        return parse_document("FILE", data)
    except ConfigError as error:
        (_,) = error.problems
        return None


@given(st.binary(max_size=300))
def test_any_bytes_end_in_a_document_or_one_line(data: bytes) -> None:
    """No bytes raise anything but a refusal."""
    for whole in (data, b"<s>" + data + b"</s>", b"<s a='" + data + b"'/>"):
        document = parsed(whole)
        assert document is None or document.root.start < document.root.end


WHOLE = alone().encode()


@given(st.integers(0, len(WHOLE)), st.binary(max_size=4), st.integers(0, 4))
def test_a_damaged_file_ends_in_a_document_or_one_line(at: int, new: bytes, gone: int) -> None:
    """A real file with any bytes changed is read or refused, and its offsets stay within it."""
    document = parsed(WHOLE[:at] + new + WHOLE[at + gone :])
    if document is None:
        return
    for element in document.root.walk():
        assert document.text[element.start : element.start + 1] == b"<"
        assert document.text[element.end - 1 : element.end] == b">"
