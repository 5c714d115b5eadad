"""A cluster and several probes that look at it from different places: who hears whom is the story's to say."""

from collections.abc import Callable

from probe.model.events import Event, Kind
from probe.model.sight import GroupSight, MemberSight, ReceiverSight, Role, Vantage, VerdictSight
from probe.model.vantages import Together

DROP = 3.0
STEP = 0.5
STABLE = 10.0
BORN = 1_700_000_000.0


def name(number: int) -> str:
    """Return how a node is called."""
    return f"10.0.0.{number}:4000"


class Place:
    """A probe: on the host of a node (or on none, 0), its clock off by so much, its views late by so much."""

    def __init__(self, host: int = 0, role: Role = Role.SEGMENT, clock: float = 0.0, skew: float = 0.0) -> None:
        self.host = host
        self.role = role
        self.clock = clock
        self.skew = skew
        self.network = "10.0.0"
        self.fit = True
        self.reached = True
        self.last: dict[int, tuple[float, int]] = {}
        self.left: set[int] = set()
        self.taken = Vantage("", role, 0.0, 0.0)


class World:
    """Nodes and places; ``deaf_to(place, node)`` says who is not heard where, ``answers`` what receivers do."""

    def __init__(self, places: dict[str, Place], nodes: int = 3) -> None:
        self.places = places
        self.lives = dict.fromkeys(range(1, nodes + 1), 1)
        self.now = 0.0
        self.deaf_to: Callable[[str, int], bool] = lambda _place, _node: False
        self.answers: Callable[[str, int], bool | None] = lambda _place, node: node in self.lives
        self.half: Callable[[str, int], bool] = lambda _place, _node: False
        self.expected: set[int] = set()
        self.expected_by = "settings"
        self.wanted = 0
        self.domain: Callable[[int], str] = lambda _node: ""
        self.network: Callable[[int], str] = lambda _node: "10.0.0"
        self.order: Callable[[list[Vantage]], list[Vantage]] = list
        self.together = Together("shop", 0.0)
        self.told: list[Event] = []

    def until(self, at: float) -> None:
        """Live on: everybody beats, every place hears what it can, and all is judged."""
        while self.now < at:
            self.now += STEP
            for called, place in self.places.items():
                self._hear(called, place)
            vantages = self.order([place.taken for place in self.places.values()])
            self.told += self.together.judge(vantages, self.now)

    def _hear(self, called: str, place: Place) -> None:
        for node, life in self.lives.items():
            if not self.deaf_to(called, node):
                place.last[node] = (self.now, life)
                place.left.discard(node)
        asked = self.now - place.skew
        if place.reached and (self.now + place.skew) % 1.0 < STEP:  # a view a second, each at its own moment
            place.taken = Vantage(called, place.role, asked, self.now, self._view(called, place))

    def _view(self, called: str, place: Place) -> GroupSight:
        known = sorted(place.last.keys() | self.expected)
        return GroupSight(
            address="228.0.0.4",
            port=45564,
            drop_time_seconds=DROP,
            expected=max(len(self.expected), self.wanted),
            fit=place.fit,
            unfit=[] if place.fit else ["loop-lag"],
            verdict=VerdictSight("whole"),
            members=[self._member(called, place, node) for node in known],
            addresses=[f"{place.network}.{place.host or 200 + len(called)}/24"],
        )

    def _member(self, called: str, place: Place, node: int) -> MemberSight:
        last, life = place.last.get(node, (None, 0))
        age = self.now - last if last is not None else None
        up = age is not None and age <= DROP and node not in place.left
        answers = self.answers(called, node)
        heard = "half" if self.half(called, node) else "alive"
        state = heard if up else "left" if node in place.left else "mute" if answers else "lost"
        asked = None if answers is None else BORN + self.now + place.clock
        return MemberSight(
            member=f"{self.network(node)}.{node}:4000",
            state=state if age is not None else "unheard",
            up=up,
            expected=node in self.expected,
            unique_id=f"{node:02x}{life:02x}",
            domain=self.domain(node),
            source=f"{self.network(node)}.{node}" if age is not None else "",
            last_heartbeat=BORN + last + place.clock if last is not None else None,
            age_seconds=age,
            receiver=ReceiverSight(answers, answers, asked),
            expected_by=self.expected_by if node in self.expected else None,
        )

    def goodbye(self, node: int) -> None:
        """Stop a node cleanly: everybody who hears it takes it out at once."""
        del self.lives[node]
        for called, place in self.places.items():
            if not self.deaf_to(called, node):
                place.left.add(node)

    @property
    def state(self) -> str:
        """Return the joint state."""
        return self.together.joint.verdict.state.value

    def said(self) -> str:
        """Return the evidence in force, times as plain seconds."""
        return self.together.joint.verdict.evidence(lambda at: f"{at:.1f}")

    def kinds(self, since: float = 0.0) -> list[Kind]:
        """Return what was told from a time on."""
        return [event.kind for event in self.told if event.at >= since]


def beside_each(nodes: int = 3, role: Role = Role.LOCAL) -> dict[str, Place]:
    """Return a probe on the host of every node, "a" on the first, with clocks and moments of their own."""
    return {
        chr(96 + node): Place(node, role, clock=(-1) ** node * 90.0 * node, skew=0.5 * (node % 2))
        for node in range(1, nodes + 1)
    }
