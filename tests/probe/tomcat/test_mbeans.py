"""The dump that a Manager's jmxproxy answers with: recorded ones, folded ones, broken ones, any at all."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.tomcat.mbeans import MOST, Bean, UnreadableError, read_beans

RECORDED = Path(__file__).parents[2] / "vectors" / "jmxproxy"
BRANCHES = ("8.5", "9.0", "10.1", "11.0")
ONE = "OK - Number of results: 1\n\nName: a:b=c\r\nmodelerType: T\r\n{}\r\n"


def recorded(branch: str) -> str:
    """Return what a real Tomcat of a branch answered."""
    return (RECORDED / f"{branch}.txt").read_bytes().decode("latin-1")


def escaped(value: str) -> str:
    """Fold as ``MBeanDumper.escape`` does."""
    if "\n" not in value:
        return value
    lines = value.split("\n")
    folded = ["\n ".join(line[i : i + 78] for i in range(0, len(line), 78)) for line in lines]
    return "\\n\n ".join(folded)


def dumped(beans: list[Bean]) -> str:
    """Write what ``JMXProxyServlet.listBeans`` writes."""
    text = f"OK - Number of results: {len(beans)}\n\n"
    for bean in beans:
        text += f"Name: {bean.name}\r\nmodelerType: {bean.kind}\r\n"
        for key, value in bean.attributes.items():
            if isinstance(value, tuple):
                items = "".join(f"\r\n\t{escaped(item)}" for item in value)
                text += f"{key}: Array[java.lang.String] of length {len(value)}{items}\r\n"
            else:
                text += f"{key}: {escaped(value)}\r\n"
        text += "\r\n"
    return text


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_real_tomcats_answered(branch: str) -> None:
    """Every bean of the channel, with all its attributes."""
    beans = read_beans(recorded(branch))
    assert len(beans) == 7
    membership = next(bean for bean in beans if bean.name.endswith(",component=Membership"))
    assert membership.kind == "org.apache.catalina.tribes.membership.McastService"
    assert membership.attributes["DropTime"] == "3000"
    assert len(membership.attributes["MembersByName"]) == 3
    lines = recorded(branch).count("\n")
    said = sum(
        3 + sum(1 + len(value) if isinstance(value, tuple) else 1 for value in bean.attributes.values())
        for bean in beans
    )
    assert said + 2 == lines


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x: \r\n", ""),
        ("x: a: b=c\r\n", "a: b=c"),
        ("x: a\\n\n b\r\n", "a\nb"),
        ("x: a\\n\n \r\n", "a\n"),
        (f"x: {'a' * 78}\n a\\n\n b\r\n", "a" * 79 + "\nb"),
        ("x: Array[int] of length 0\r\n", ()),
        ("x: Array[a.B] of length 2\r\n\t1\r\n\t\r\n", ("1", "")),
        ("x: Array[a.B] of length 1\r\n\ta\\n\n b\r\n", ("a\nb",)),
        ("x: an Array[int] of length 1\r\n", "an Array[int] of length 1"),
    ],
)
def test_a_value(line: str, value: object) -> None:
    """Plain, empty, folded, and in an array."""
    [bean] = read_beans(ONE.format(line))
    assert bean == Bean("a:b=c", "T", {"x": value})  # type: ignore[dict-item]


WORDS = st.text(st.characters(codec="latin-1", exclude_characters="\r\\"), max_size=200).filter(
    lambda text: not re.fullmatch(r"Array\[[^\]\s]+\] of length \d{1,9}", text)
)
KEYS = st.text(st.characters(codec="ascii", exclude_characters=" :=\r\n\t"), min_size=1, max_size=9).filter(
    lambda key: key != "modelerType"
)
BEANS = st.builds(
    Bean,
    st.just("a:b=c"),
    st.just("T"),
    st.dictionaries(KEYS, WORDS | st.lists(WORDS, max_size=4).map(tuple), max_size=5),
)


@given(st.lists(BEANS, max_size=3))
def test_what_is_dumped_is_read(beans: list[Bean]) -> None:
    """Whatever the values are, line feeds and all."""
    assert read_beans(dumped(beans)) == beans


def refusal(text: str) -> str:
    """Return why a dump is refused; nothing when it is read."""
    try:
        read_beans(text)
    except UnreadableError as refused:
        return str(refused)
    return ""


@given(st.sampled_from(BRANCHES), st.integers(0, 5_000), st.text(max_size=9))
def test_a_dump_that_is_damaged_is_read_or_refused(branch: str, at: int, noise: str) -> None:
    """Nothing else is raised, whatever is put in or left out; a reason is one printable line."""
    text = recorded(branch)
    for damaged in (text[:at], text[:at] + noise + text[at:], text[:at] + text[at + len(noise) + 1 :]):
        assert refusal(damaged).isprintable()


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_dump_that_is_cut_is_refused(branch: str) -> None:
    """At every place but its end."""
    text = recorded(branch)
    for at in range(0, len(text), 7):
        with pytest.raises(UnreadableError):
            read_beans(text[:at])


NO_DUMP = "its answer is no dump of MBeans: is it the address of a Manager's jmxproxy?"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", NO_DUMP),
        ("<html>log in</html>", NO_DUMP),
        ("OK - Number of results: -1\n\n", NO_DUMP),
        ("OK - Number of results: 1\n", NO_DUMP),
        (
            "Error - javax.management.MalformedObjectNameException: Domain part\n\tat a.B\n",
            'its jmxproxy refuses the question: "javax.management.MalformedObjectNameException: Domain part"',
        ),
        ("Error - ", 'its jmxproxy refuses the question: ""'),
        ("OK - Number of results: 10001\n\n", f"its answer has 10001 MBeans, more than {MOST}"),
        ("OK - Number of results: 1\n\n", "its answer ends within an MBean"),
        ("OK - Number of results: 0\n\nx: y\r\n", "its answer goes on after 0 MBeans"),
        (
            "OK - Number of results: 1\n\nx: y\r\n\r\n",
            'its answer has "x: y" where an MBean should begin',
        ),
        (ONE.format("x\r\n"), 'its answer has "x" where an attribute should stand'),
        (ONE.format("\tx\r\n"), r"""its answer has "'\tx'" where an attribute should stand"""),
        (ONE.format("x: 1\r\nx: 2\r\n"), 'its answer says "x" of "a:b=c" twice'),
        (ONE.format("modelerType: U\r\n"), 'its answer says "modelerType" of "a:b=c" twice'),
        (
            ONE.format("x: Array[int] of length 2\r\n\t1\r\n"),
            'its answer has "" where an item of an array should stand',
        ),
        (
            ONE.format("x: Array[int] of length 99999999\r\n"),
            f"its answer has an array of 99999999 items, more than {MOST}",
        ),
        (ONE.format("x: y\r\n") + "\x1b[31m", r'''its answer ends within a line: "'\x1b[31m'"'''),
    ],
)
def test_what_is_no_dump(text: str, why: str) -> None:
    """Each gets its reason in one line."""
    with pytest.raises(UnreadableError) as refused:
        read_beans(text)
    assert str(refused.value) == why
