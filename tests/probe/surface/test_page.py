"""The page: what it says, what it escapes, and what a browser makes of it."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from support.view import HOSTILE, MEMBERS, view

from probe.model.views import LinksView, MemberView, ProbeView
from probe.surface import page
from probe.surface.web import Web


class Reader(HTMLParser):
    """What a page holds: tags, attributes and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.cells: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """Return all words."""
        return " ".join(" ".join(self.words).split())


def read(seen: ProbeView, path: str = "/metrics") -> Reader:
    """Render and read a page."""
    return Reader(page.render(seen, path))


def changed(seen: ProbeView, **fields: object) -> ProbeView:
    """Return the view with its first member changed."""
    [group] = seen.groups
    members = [msgspec.structs.replace(group.members[0], **fields), *group.members[1:]]
    return msgspec.structs.replace(seen, groups=[msgspec.structs.replace(group, members=members)])


def test_the_page_holds_the_verdict_sentence_and_every_member_with_its_state() -> None:
    """The same sentence as everywhere."""
    seen = view()
    text = read(seen).text
    [group] = seen.groups
    assert group.verdict.sentence in text
    for member in group.members:
        assert f"{member.member} {member.state}" in text
    assert "eth0 joined, eth1 not joined" in text
    assert "7 dropped here" in text


def test_what_several_vantages_say_and_how_the_peers_stand() -> None:
    """The joint sentence beside the own one, and every peer with what is wrong with it."""
    seen = view()
    text = read(seen).text
    [group] = seen.groups
    assert group.together is not None
    assert f"together {group.together.sentence}" in text
    assert "b read local http://10.0.0.2:10564 0.1.0" in text
    assert f"not read segment https://c:10564 {HOSTILE}" in text
    alone = [msgspec.structs.replace(group, together=None)]
    text = read(msgspec.structs.replace(seen, groups=alone, peers=[])).text
    assert "together" not in text
    assert "peers" not in text


def test_what_became_of_sessions_is_a_table() -> None:
    """From which node to which, known after how long, or why not; without any there is none."""
    seen = view()
    text = read(seen).text
    assert "a b replicated 300.0 ms a session made on a is known on b after 300.0 ms" in text
    assert f"b a lost – a does not know {HOSTILE}" in text
    assert "a c unknown – not checked yet" in text
    none = [msgspec.structs.replace(seen.groups[0], sessions=[])]
    assert "shown to" not in read(msgspec.structs.replace(seen, groups=none)).text


def test_what_this_host_s_connections_show_is_a_remark() -> None:
    """Of each member whose link contradicts what is heard; and to whom there are connections besides."""
    seen = view()
    text = read(seen).text
    assert "this host's Tomcat still replicates to it" in text
    assert "connections to no member: 10.0.0.9:4000" in text
    [group] = seen.groups
    unseen = msgspec.structs.replace(group, links=LinksView("no receiver listens on this host", ()))
    assert (
        "connections not seen: no receiver listens on this host"
        in read(msgspec.structs.replace(seen, groups=[unseen])).text
    )


def test_what_a_receiver_answered_is_in_words() -> None:
    """With its time, where it took one."""
    text = read(view()).text
    for words in ("answered (2.0 ms)", "refused", "answer-timeout (1.0 ms)", "not asked yet"):
        assert words in text
    refused = msgspec.structs.replace(view().groups[0].members[3].receiver, not_asked="it is outside")
    assert "not asked: it is outside" in read(changed(view(), receiver=refused)).text


def test_remarks_tell_what_is_odd() -> None:
    """Each in few words, none where nothing is odd."""
    odd = {
        "ghost": "00",
        "address_mismatch": True,
        "source": "10.0.0.9",
        "restarts_clean": 1,
        "restarts_unclean": 2,
        "flaps": 4,
    }
    text = read(changed(view(), **odd)).text
    assert "ghost suspected, announced by 10.0.0.9, restarted 3×, flapped 4×" in text
    for expected_by in ("settings", "static", "learned"):
        seen = changed(view(), expected=True, expected_by=expected_by)
        assert f"expected: {expected_by}" in read(seen).text
    assert "expected: " not in read(view()).text
    assert "ghost suspected" not in read(view()).text


HOSTILE_WORDS = [HOSTILE, '"><img src=x onerror=alert(1)>', "</style><script>x</script>", "'; --", "&lt;"]


@pytest.mark.parametrize("word", HOSTILE_WORDS)
def test_nothing_from_outside_becomes_markup(word: str) -> None:
    """Names, interfaces and oddities are text, wherever they come from; no script ever."""
    seen = changed(
        view(name=word), member=word, state=word, oddities=(word,), source=word, address_mismatch=True
    )
    group = msgspec.structs.replace(seen.groups[0], joined={word: True}, address=word)
    html = page.render(msgspec.structs.replace(seen, groups=[group]), f"/{word}")
    reader = Reader(html)
    assert set(reader.tags) == set(read(view()).tags)
    assert reader.addresses == [f"/{word}", "/api/v1/view"]
    assert html.count(escape(word)) >= 6


def test_what_tomcats_believe_stands_there() -> None:
    """What it shows is among the remarks of its member; who cannot be read stands below, with the reason."""
    reader = read(view())
    assert "10.0.0.1:4000 itself still keeps a ghost of 10.0.0.2:4000 (09090909…)" in reader.text
    assert "what they believe · 10.0.0.1:4000 by http://10.0.0.1:4000/jmxproxy: read" in reader.text
    assert f"10.0.0.2:4000 by http://x/jmxproxy: {HOSTILE}" in reader.text
    [group] = view().groups
    quiet = msgspec.structs.replace(group, beliefs=[])
    assert "believe" not in read(msgspec.structs.replace(view(), groups=[quiet])).text


def test_a_large_group_is_cut_and_says_so() -> None:
    """The page stays small; the API has all."""
    seen = view()
    [group] = seen.groups
    many: list[MemberView] = group.members * (page.MOST_ROWS // 4 + 1)
    reader = read(msgspec.structs.replace(seen, groups=[msgspec.structs.replace(group, members=many)]))
    assert reader.tags.count("code") == page.MOST_ROWS
    assert "and 4 more" in reader.text


def test_nobody_heard_yet_and_no_group_are_pages_too() -> None:
    """They say so."""
    assert "nobody was heard yet" in read(view(gone=4)).text
    assert "no group – tribes-probe" in read(msgspec.structs.replace(view(), groups=[])).text


# -- in a browser


class Source:
    """One view, for ever."""

    async def view(self) -> ProbeView:
        """Return it."""
        return view()

    def not_ready(self) -> str | None:
        """Be ready."""
        return None

    async def reload(self) -> str | None:
        """Find nothing wrong."""
        return None

    def forget(self, member: str, group: str | None = None) -> str:
        """Forget nobody."""
        raise NotImplementedError


@pytest.fixture(name="url")
async def _url() -> AsyncIterator[str]:
    """Serve the page, with the headers that it comes with."""
    web = Web(Source())
    await web.listen(("127.0.0.1:0",))
    yield web.addresses[0]
    await web.close()


async def browse(url: str, folder: Path, *options: str) -> str:
    """Open a page in a browser of its own that may reach nothing but this host; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
        *(f"--user-data-dir={folder}/profile", "--window-size=1200,700", *options, url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@pytest.mark.browser
async def test_a_browser_shows_the_verdict_and_each_member(url: str, tmp_path: Path) -> None:
    """What is in the document after the browser has read it."""
    reader = Reader(await browse(url, tmp_path, "--dump-dom"))
    assert view().groups[0].verdict.sentence in reader.text
    for member in MEMBERS:
        assert member in reader.text
    assert "script" not in reader.tags


@pytest.mark.browser
async def test_a_browser_paints_the_page(url: str, tmp_path: Path) -> None:
    """The picture is not blank, and its ground is the style's: the page's own policy lets the style in."""
    await browse(url, tmp_path, f"--screenshot={tmp_path}/page.png")
    width, height, rows = _pixels((tmp_path / "page.png").read_bytes())
    assert (width, height) == (1200, 700)
    assert len(set(rows)) > 100
    assert rows[0][1:4] == bytes.fromhex("f6f7f9")  # the first pixel stands as it is, whatever the filter


def _pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Return width, height and the filtered rows of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, width, height = 8, b"", 0, 0
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", body)
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    raw = zlib.decompress(packed)
    stride = len(raw) // height
    return width, height, [raw[row * stride : (row + 1) * stride] for row in range(height)]
