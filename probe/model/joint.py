"""The joint verdict in words: one sentence with its evidence, the same wherever it is shown."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from probe.model.hearing import Loss, Side
from probe.model.picture import Picture
from probe.model.sight import HERE, Role
from probe.model.verdict import ClusterState, Phrase, Verdict

NAMED: Final = 5
"""Members of a side, and losses, that one sentence names."""


class Joint(msgspec.Struct, frozen=True):
    """What the vantages say together; times are of the model's clock.

    ``judged`` are the places it rests on, ``silent`` the others, each with what is wrong with it; ``deaf``
    maps places that hear nobody to since when.
    """

    verdict: Verdict
    judged: tuple[str, ...] = ()
    silent: dict[str, str] = {}
    sides: tuple[Side, ...] = ()
    losses: tuple[Loss, ...] = ()
    deaf: dict[str, float] = {}


def say(state: ClusterState, picture: Picture, silent: dict[str, str], now: float) -> Joint:
    """Put a state and what it rests on into words."""
    since, reasons = _WORDS[state](picture, silent, now)
    alive, wanted = picture.alive_of_wanted
    return Joint(
        verdict=Verdict(state, since, reasons, {}, alive, wanted),
        judged=picture.names,
        silent=silent,
        sides=picture.sides,
        losses=tuple(picture.proven),
        deaf=picture.deaf,
    )


_BOTH: Final = 2
_Said = tuple[float, tuple[Phrase, ...]]


def _split(picture: Picture, _: dict[str, str], now: float) -> _Said:
    sides = picture.sides
    across = [loss for loss in picture.proven if any(loss.place in side.places for side in sides)]
    text = f"{listed([_braced(side.members) for side in sides])} do not hear each other"
    seen = " against ".join(listed(side.places) for side in sides if side.places)
    live = "both sides live" if len(sides) == _BOTH else f"all {len(sides)} sides live"
    advice = (
        "Sessions made meanwhile stay on their side, even after it heals: "
        "send users to one side, mend the network, restart no node before"
    )
    since = min((loss.since for loss in across), default=now)
    return since, ((f"{text} (seen from {seen}): {live}. {advice}",),)


def _latent_split(picture: Picture, _: dict[str, str], now: float) -> _Said:
    latent = [loss for loss in picture.proven if loss.answers]
    phrases: list[Phrase] = [
        (
            f"{loss.member} is not heard {_where(loss)}",
            *_last(loss),
            f" but answers there; {_heard(picture, loss)}",
        )
        for loss in latent[:NAMED]
    ]
    phrases += [(f"{member} is heard nowhere but answers everywhere",) for member in picture.mute[:NAMED]]
    phrases += _more(len(latent) + len(picture.mute) - len(phrases))
    advice = "multicast is broken, TCP is not. Do not restart any node: it would not be let back in"
    return min((loss.since for loss in latent), default=now), (*phrases, (advice,))


def _asymmetric(picture: Picture, _: dict[str, str], now: float) -> _Said:
    phrases: list[Phrase] = [
        (
            f"{loss.member} is not heard {_where(loss)}",
            *_last(loss),
            f", {_heard(picture, loss)}{_BACK[loss.back]}",
        )
        for loss in picture.proven[:NAMED]
    ]
    phrases += _more(len(picture.proven) - len(phrases))
    return min((loss.since for loss in picture.proven), default=now), tuple(phrases)


_BACK: Final = {
    True: ": multicast is lost in this direction only",
    False: ": the other direction fails for some as well",
    None: "",
}


def _deaf(picture: Picture, _: dict[str, str], now: float) -> _Said:
    if not picture.deaf:
        text = "nothing is heard anywhere but receivers answer: suspect the switch or its IGMP querier"
        return now, ((text,),)
    phrases: list[Phrase] = []
    for name, since in sorted(picture.deaf.items()):
        place = next(place for place in picture.places if place.name == name)
        others = [other for other in picture.names if other not in picture.deaf]
        nobody = "nobody but its own host" if place.heard else "nobody"
        tomcat = ": a Tomcat there is deaf, too" if place.role is Role.LOCAL else ""
        text = (
            f"; {listed(others)} hear {len(picture.alive)} members: suspect its host, not the cluster{tomcat}"
        )
        phrases.append((f"{name} hears {nobody} since ", since, text))
    return min(picture.deaf.values()), tuple(phrases)


def _sum(picture: Picture) -> str:
    alive, wanted = picture.alive_of_wanted
    return f"{alive} of {wanted} members alive"


def _whole(picture: Picture, _: dict[str, str], now: float) -> _Said:
    return now, ((f"{_sum(picture)}, the same from {listed(picture.names)}",),)


def _degraded(picture: Picture, _: dict[str, str], now: float) -> _Said:
    same = "seen" if any(map(picture.is_partly_half, picture.half)) else "the same"
    phrases: list[Phrase] = [(f"{_sum(picture)}, {same} from {listed(picture.names)}",)]
    phrases += [(f"{name} {_state_of(picture, name)}",) for name in picture.absent[:NAMED]]
    return now, (*phrases, *_more(len(picture.absent) - NAMED))


def _state_of(picture: Picture, name: str) -> str:
    if picture.is_partly_half(name):
        return f"is heard but its receiver fails at {listed(picture.half[name])}"
    states = sorted({place.members[name].state for place in picture.places if name in place.members})
    return f"is {' or '.join(states)}"


def _merging(picture: Picture, _: dict[str, str], now: float) -> _Said:
    text = "members of both sides are heard everywhere again, the same processes: "
    text += "their sessions diverged meanwhile and do not cross"
    return now, ((_sum(picture),), (text,))


def _down(_: Picture, __: dict[str, str], now: float) -> _Said:
    return now, (("nobody is heard and nobody answers, from anywhere",),)


def _empty(_: Picture, __: dict[str, str], now: float) -> _Said:
    return now, (("nothing was ever heard anywhere and nothing is expected",),)


def _unknown(picture: Picture, silent: dict[str, str], now: float) -> _Said:
    if picture.enough:
        return now, (("nobody is heard anywhere and not all could be asked",),)
    count = len(picture.names)
    reasons: list[Phrase] = [(f"{count} of {count + len(silent)} vantages can judge, two are needed",)]
    reasons += [(f"{name}: {why}",) for name, why in list(silent.items())[:NAMED]]
    return now, (*reasons, *_more(len(silent) - NAMED))


_WORDS: Final[dict[ClusterState, Callable[[Picture, dict[str, str], float], _Said]]] = {
    ClusterState.WHOLE: _whole,
    ClusterState.DEGRADED: _degraded,
    ClusterState.LATENT_SPLIT: _latent_split,
    ClusterState.ASYMMETRIC: _asymmetric,
    ClusterState.SPLIT: _split,
    ClusterState.DEAF: _deaf,
    ClusterState.DOWN: _down,
    ClusterState.MERGING: _merging,
    ClusterState.EMPTY: _empty,
    ClusterState.UNKNOWN: _unknown,
}


def _where(loss: Loss) -> str:
    return HERE if loss.place == HERE else f"at {loss.place}"


def _last(loss: Loss) -> Phrase:
    return (" (last ", loss.last_heard, ")") if loss.last_heard is not None else (" (never was)",)


def _heard(picture: Picture, loss: Loss) -> str:
    hearers = picture.hearers([loss.member])
    return f"{listed(hearers)} hear{'s' if len(hearers) == 1 else ''} it"


def listed(names: Sequence[str]) -> str:
    """Write names as a sentence lists them."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else "nobody"


def _braced(members: Sequence[str]) -> str:
    more = f" and {len(members) - NAMED} more" if len(members) > NAMED else ""
    return f"{{{', '.join(members[:NAMED])}{more}}}"


def _more(count: int) -> list[Phrase]:
    return [(f"and {count} more",)] if count > 0 else []
