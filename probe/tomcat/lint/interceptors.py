"""The interceptors' order: the first one in the file is next to the application, the last next to the network."""

from collections.abc import Iterator
from typing import Final

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.node import DETECTOR, DISPATCHERS, INTERCEPTORS, Cluster, corrected, quoted

KEY_BYTES: Final = (16, 24, 32)
"""AES."""
GOOD_MODE: Final = "AES/GCM/NoPadding"
_DOWN: Final = "Tomcat does not start"
_BREAKS: Final = {
    "OrderInterceptor": "ArithmeticException at the second test of a member; the test is lost",
    "FragmentationInterceptor": "SEVERE … Processing of cluster message failed: NegativeArraySizeException at every test",
    "TwoPhaseCommitInterceptor": "it keeps every test and never hands it on: INFO … Message has expired, or Removing expired message",
    "GzipInterceptor": "SEVERE … Unable to decompress byte contents: ZipException: Not in GZIP format at every test",
}
"""What an interceptor below the detector does with its test, which goes past everything above it."""


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is wrong with the interceptors of a cluster."""
    if not cluster.interceptors:
        return
    yield from _encryption(cluster)
    yield from _below_detector(cluster)
    yield from _detector(cluster)
    yield from _static(cluster)
    yield from _dispatch(cluster)
    yield from _flags(cluster)


def _below(cluster: Cluster, kind: str) -> list[Element]:
    """Return the interceptors that are listed after the first one of a class."""
    first = cluster.interceptor(kind)
    return cluster.interceptors[cluster.interceptors.index(first) + 1 :] if first is not None else []


# -- encryption


def _encryption(cluster: Cluster) -> Iterator[Finding]:
    for one in cluster.interceptors:
        if cluster.kind(one) != "EncryptInterceptor":
            continue
        yield from _key(cluster, one)
        yield from _mode(cluster, one)
        if one in _below(cluster, DETECTOR):
            detector = cluster.interceptor(DETECTOR)
            yield cluster.node.finding(
                "encrypt-order",
                one,
                f"EncryptInterceptor stands after {DETECTOR}",
                effect=f"ChannelConfigException: EncryptInterceptor must be upstream of {DETECTOR}; {_DOWN}",
                remedy=f"put it before {DETECTOR}, whose test is not encrypted",
                edits=edits.move_before(one, detector) if detector is not None else [],
                correction=_line(cluster, "EncryptInterceptor", DETECTOR),
                is_safe=True,
            )


def _line(cluster: Cluster, *kinds: str) -> str:
    """Return interceptors in an order to paste: the file's own, and new ones where it has none."""
    found = [(kind, cluster.interceptor(kind)) for kind in kinds]
    return "\n".join(
        corrected(one, ()) if one is not None else f'<Interceptor className="{INTERCEPTORS}{kind}"/>'
        for kind, one in found
    )


def _key(cluster: Cluster, one: Element) -> Iterator[Finding]:
    node = cluster.node
    written = "encryptionKeyString" if "encryptionKeyString" in one.attributes else "encryptionKey"
    remedy = "64 hex digits, the same on every node: openssl rand -hex 32"
    if written not in one.attributes:
        yield node.finding(
            "encrypt-key",
            one,
            "no encryptionKey",
            effect=f"IllegalStateException: Encryption key is required; {_DOWN}",
            remedy=remedy,
        )
        return
    key = node.text(one, written)
    if key is None:
        return
    try:
        size = len(bytes.fromhex(key)) if key.isalnum() else -1
    except ValueError:
        size = -1
    if size < 0:
        yield node.finding(
            "encrypt-key",
            one,
            f"the encryptionKey of {len(key)} characters is no even number of hex digits",
            at=written,
            effect=f"WARNING, then IllegalStateException: Encryption key is required; {_DOWN}",
            remedy=remedy,
        )
    elif size not in KEY_BYTES:
        yield node.finding(
            "encrypt-key",
            one,
            f"the encryptionKey has {size} bytes: AES takes 16, 24 or 32",
            at=written,
            effect=f"SEVERE … Failed to encrypt message: InvalidKeyException: Invalid AES key length: {size} bytes, for each",
            remedy=remedy,
        )


def _mode(cluster: Cluster, one: Element) -> Iterator[Finding]:
    node = cluster.node
    algorithm = node.text(one, "encryptionAlgorithm")
    if algorithm is None:
        if "encryptionAlgorithm" not in one.attributes:
            yield node.finding(
                "encrypt-algorithm",
                one,
                "the algorithm is not written: its default is AES/CBC up to 9.0.120, 10.1.57 and 11.0.24, AES/GCM after",
                effect="nodes on both sides of that line do not understand each other: Failed to decrypt message",
                remedy=f"encryptionAlgorithm {GOOD_MODE} on every node, all stopped when it changes",
                edits=[edits.set_value(one, "encryptionAlgorithm", GOOD_MODE)],
            )
        return
    parts = algorithm.split("/")
    fix = [edits.set_value(one, "encryptionAlgorithm", GOOD_MODE)]
    if len(parts) != 3:  # noqa: PLR2004  # algorithm, mode, padding
        yield node.finding(
            "encrypt-mode",
            one,
            f"{quoted(algorithm)} names no mode and padding",
            at="encryptionAlgorithm",
            effect="IllegalArgumentException: Encryption algorithm is required, fully-specified; it is ignored, the default stays",
            remedy=f"{GOOD_MODE}, the same on every node",
            edits=fix,
        )
    elif parts[1].upper() not in ("CBC", "OFB", "CFB", "GCM"):
        yield node.finding(
            "encrypt-mode",
            one,
            f"EncryptInterceptor takes no mode {quoted(parts[1])}",
            at="encryptionAlgorithm",
            effect=f"IllegalArgumentException: EncryptInterceptor does not support it; {_DOWN}",
            remedy=f"{GOOD_MODE}, the same on every node",
            edits=fix,
        )


# -- around the detector


def _below_detector(cluster: Cluster) -> Iterator[Finding]:
    detector = cluster.interceptor(DETECTOR)
    for one in _below(cluster, DETECTOR):
        kind = cluster.kind(one)
        if kind not in _BREAKS or (kind == "GzipInterceptor" and not cluster.node.is_before("9.0")):
            continue
        yield cluster.node.finding(
            "below-detector",
            one,
            f"{kind} stands after {DETECTOR}, whose test messages do not pass it as they came",
            effect=_BREAKS[kind],
            remedy=f"put it before {DETECTOR}",
            edits=edits.move_before(one, detector) if detector is not None else [],
            correction=_line(cluster, kind, DETECTOR),
            is_safe=True,
        )


def _detector(cluster: Cluster) -> Iterator[Finding]:
    node, detector = cluster.node, cluster.interceptor(DETECTOR)
    new = f'<Interceptor className="{INTERCEPTORS}{DETECTOR}"/>'
    if detector is None and cluster.membership_kind in ("McastService", ""):
        yield node.finding(
            "detector-missing",
            cluster.interceptors[0],
            f"interceptors without {DETECTOR}: Tomcat's own two are not added to a list",
            effect="a few lost heartbeats drop a member that is well; one whose receiver is dead stays",
            remedy=f"{DETECTOR} as the last interceptor",
            correction=new,
            edits=[edits.after(cluster.interceptors[-1], new)],
            is_safe=not cluster.interceptor("StaticMembershipInterceptor"),
        )
    elif detector is not None and cluster.number(detector, "", "optionFlag"):
        yield node.finding(
            "detector-flag",
            detector,
            f"{DETECTOR} with optionFlag {cluster.number(detector, '', 'optionFlag')}",
            at="optionFlag",
            effect="a probe's question must carry these bits, else it goes up the stack",
            remedy="receiver_check.option_flag of the probe; --server-xml takes it from here",
        )


def _static(cluster: Cluster) -> Iterator[Finding]:
    static = cluster.interceptor("StaticMembershipInterceptor")
    if static is None:
        return
    above = cluster.stack[: cluster.interceptors.index(static)]
    missing = [kind for kind in ("TcpPingInterceptor", DETECTOR) if kind not in above]
    if missing:
        yield cluster.node.finding(
            "static-unwatched",
            static,
            f"no {' and no '.join(missing)} above StaticMembershipInterceptor",
            effect="static members are not asked after: one that dies stays a member until a send fails"
            + (
                ""
                if cluster.node.is_before("7.0")
                else "; WARNING … The health check of static members does not work properly"
            ),
            remedy=f"TcpPingInterceptor, {DETECTOR}, StaticMembershipInterceptor, in this order",
            correction=_line(cluster, "TcpPingInterceptor", DETECTOR, "StaticMembershipInterceptor"),
        )


# -- dispatching and option flags


def _dispatch(cluster: Cluster) -> Iterator[Finding]:
    node = cluster.node
    dispatch = next((one for one in cluster.interceptors if cluster.kind(one) in DISPATCHERS), None)
    options = send_options(cluster)
    if dispatch is None:
        if options is not None and options & 8:
            kind = DISPATCHERS[1] if node.is_before("8.5") else DISPATCHERS[0]
            new = f'<Interceptor className="{INTERCEPTORS}{kind}"/>'
            yield node.finding(
                "dispatch-missing",
                cluster.interceptors[0],
                f"channelSendOptions {options} is asynchronous, and no MessageDispatchInterceptor is there to do it",
                effect="each request sends by itself, and waits for every member",
                remedy=f"{kind} among the interceptors, or channelSendOptions 6",
                correction=new,
                edits=[edits.before(cluster.interceptors[0], new)],
                is_safe=True,
            )
        return
    flag = cluster.number(dispatch, "", "optionFlag")
    if "optionFlag" in dispatch.attributes and flag not in (0, 8):
        yield node.finding(
            "dispatch-flag",
            dispatch,
            f"{cluster.kind(dispatch)} with optionFlag {flag}",
            at="optionFlag",
            effect="WARNING … it is set to 8 where it starts: it takes what is asynchronous, nothing else",
            remedy="take it out",
            edits=[edits.drop_attribute(dispatch, "optionFlag")],
            is_safe=True,
        )
    if node.release is not None and node.release.branch == "7.0" and cluster.kind(dispatch) == DISPATCHERS[0]:
        yield node.finding(
            "dispatch-hangs",
            dispatch,
            "MessageDispatchInterceptor of 7.0 may wait for its own queue's lock when it stops",
            at="className",
            effect="a clean stop hangs; seen in one of four stops of 7.0.109 on Java 17",
            remedy=f"{DISPATCHERS[1]}, until 8.5 has it no more",
            edits=[edits.set_value(dispatch, "className", INTERCEPTORS + DISPATCHERS[1])],
            is_safe=True,
        )


_NAMED: Final = {
    "byte_message": 1, "byte": 1, "use_ack": 2, "synchronized_ack": 4, "sync": 4, "asynchronous": 8, "async": 8,
    "secure": 16, "udp": 32, "multicast": 64,
}  # fmt: skip
"""``Channel.parseSendOptions``."""


def send_options(cluster: Cluster) -> int | None:
    """Return channelSendOptions as a number, names of 9.0 and later too; None if it is neither."""
    text = cluster.value(cluster.element, "", "channelSendOptions")
    number = cluster.number(cluster.element, "", "channelSendOptions")
    if number is not None or not text:
        return number
    bits = [_NAMED.get(word.strip().lower(), -1) for word in text.split(",")]
    return None if -1 in bits else sum(set(bits))


def _flags(cluster: Cluster) -> Iterator[Finding]:
    if not cluster.is_true(cluster.channel, "Channel", "optionCheck"):
        return
    taken: dict[int, str] = {}
    for one in cluster.interceptors:
        kind = cluster.kind(one)
        flag = cluster.number(one, "", "optionFlag") or (8 if kind in DISPATCHERS else 0)
        other = next((name for bits, name in taken.items() if bits & flag), None)
        if other is not None:
            yield cluster.node.finding(
                "option-conflict",
                one,
                f"optionFlag {flag} of {kind} overlaps {other}'s, and the channel checks",
                at="optionFlag",
                effect=f"ChannelException: Interceptor option flag conflict; {_DOWN}",
                remedy="a bit of its own from 256 on, or no optionCheck",
            )
        if flag:
            taken[flag] = kind
