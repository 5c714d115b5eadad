"""Which interceptor stacks answer the liveness question without a sound."""

import pytest

from probe.tomcat.stack import DEFAULT_STACK, Interceptor, silent_answer

TFD, DISPATCH, ENCRYPT = "TcpFailureDetector", "MessageDispatchInterceptor", "EncryptInterceptor"


@pytest.mark.parametrize(
    ("names", "silent", "why"),
    [
        (DEFAULT_STACK, True, "swallows the question"),
        ((TFD, DISPATCH), True, "swallows the question"),
        ((DISPATCH, TFD, "StaticMembershipInterceptor"), True, "swallows the question"),
        (("TcpPingInterceptor", TFD, "ThroughputInterceptor"), True, "swallows the question"),
        ((ENCRYPT, TFD), True, "swallows the question"),
        (("GzipInterceptor", "OrderInterceptor", TFD), True, "swallows the question"),
        ((TFD, "OrderInterceptor"), False, "OrderInterceptor stands below TcpFailureDetector"),
        ((TFD, "FragmentationInterceptor"), False, "FragmentationInterceptor stands below"),
        ((TFD, DISPATCH, "TwoPhaseCommitInterceptor"), False, "TwoPhaseCommitInterceptor stands below"),
        ((TFD, "GzipInterceptor"), False, "GzipInterceptor stands below"),
        ((TFD, ENCRYPT), False, "EncryptInterceptor stands below"),
        ((DISPATCH,), False, "no TcpFailureDetector in the stack"),
        ((), False, "no TcpFailureDetector in the stack"),
        ((ENCRYPT,), False, "EncryptInterceptor without TcpFailureDetector"),
    ],
)
def test_who_sees_the_question_first(names: tuple[str, ...], silent: bool, why: str) -> None:  # noqa: FBT001
    """The question is silent where the detector swallows it before anybody below it minds."""
    found, reason = silent_answer(tuple(Interceptor(name) for name in names))
    assert found is silent
    assert why in reason
