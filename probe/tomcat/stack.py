"""An interceptor stack, and whether the liveness question passes it without a sound.

Messages are received from the last ``<Interceptor>`` up; TcpFailureDetector swallows the question, so what
matters is who sees it before: everybody listed after the detector.
"""

from typing import Final

import msgspec

DETECTOR: Final = "TcpFailureDetector"
DEFAULT_STACK: Final = ("MessageDispatchInterceptor", DETECTOR)
"""What SimpleTcpCluster adds when no interceptor is given at all (``checkDefaults``)."""

_LOUD: Final = {
    "OrderInterceptor": "it takes the question's last bytes for a number and throws at the second one",
    "FragmentationInterceptor": "it takes the question for a fragment and throws",
    "TwoPhaseCommitInterceptor": "it keeps the question for a minute and never hands it on",
    "GzipInterceptor": "before 9.0 it fails to decompress the question and logs an ERROR",
    "EncryptInterceptor": "it fails to decrypt the question and logs an ERROR",
}


class Interceptor(msgspec.Struct, frozen=True):
    """One interceptor: its class without the package, its option flag, its line in the file."""

    name: str
    option_flag: int = 0
    line: int = 0


def silent_answer(stack: tuple[Interceptor, ...]) -> tuple[bool, str]:
    """Tell whether the question is answered without any log line, and why."""
    names = [interceptor.name for interceptor in stack]
    if DETECTOR not in names:
        if "EncryptInterceptor" in names:
            return False, "EncryptInterceptor without TcpFailureDetector: it would log every question"
        return False, "no TcpFailureDetector in the stack: the question would go up to the application"
    for name in names[names.index(DETECTOR) + 1 :]:
        if name in _LOUD:
            return False, f"{name} stands below TcpFailureDetector: {_LOUD[name]}"
    return True, "TcpFailureDetector swallows the question, nothing below it minds"
