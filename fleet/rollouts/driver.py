"""The service's side of rollouts: some times a second, what is new goes to the engine, and what it decides is written.

Nothing is remembered that the database does not have: what is kept here saves reading it again, and is read again when
its version is not the newest. So a killed service goes on where it was, and an operator's command may come from any
process. A tick without news costs two short queries and one look at the clock of each open rollout.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fleet.config import Config
from fleet.errors import ConflictError
from fleet.rollout.canary import Judgement
from fleet.rollout.commands import is_over
from fleet.rollout.model import Command, Phase, Report, Seen, State, Step, Verb
from fleet.rollout.plan import Goal, Member, Mode, Plan
from fleet.rollout.step import due
from fleet.rollouts import evidence, planning
from fleet.rollouts.deciding import ACTOR, Decider, Watched
from fleet.rollouts.facts import Mirror, report_of
from fleet.rollouts.surroundings import Surroundings
from fleet.store import Store
from fleet.store.rollouts import OPEN

WATCH_S = 30 * 86400  # so long after its end a rollout hears of nodes that revert
JUDGE_S = 10  # between two looks at the telemetry
AGAIN_S = 30  # after so long the engine hears anew of nodes that are under way
JOIN_S = 30  # between two looks for nodes that match now
TRIES = 5  # when somebody else is faster

Judge = Callable[[Store, Plan, Mapping[str, Member], State, int], Judgement | None]
Join = Callable[[Store, Config, Plan, Collection[str], int], Sequence[Member]]


class Driver:
    """Call `tick` every second or more often; for one thread."""

    def __init__(self, store: Store, config: Config, judge: Judge | None = None, join: Join = planning.joiners) -> None:
        self._store = store
        self._config = config
        self._judge = judge or evidence.Watch()
        self._join = join
        self._decider = Decider(store, config)
        self._mirror = Mirror(store)
        self._watched: dict[int, Watched] = {}
        self._news: dict[int, set[str]] = {}  # {rollout: nodes of which it has to be told}
        self._spawned: dict[int, bool] = {}  # {draft: whether it is an undo}
        self._looked_s: dict[tuple[int, str], int] = {}  # when something was done that is done now and then
        self.steps = 0  # decisions that changed something

    def tick(self, now_s: int) -> int:
        """One look at everything; how many decisions changed something.

        An error in one rollout leaves the others, and is raised afterwards; the next tick tries again.
        """
        fresh = self._reload(now_s)
        news = self._mirror.refresh(now_s * 1000) if self._watched else set()
        faults: list[Exception] = []
        made = 0
        for number in sorted(self._watched):
            watched = self._watched[number]
            mine = watched.members.keys()
            self._news.setdefault(number, set()).update(mine if number in fresh else news & mine)
            try:
                made += self._advance(number, now_s)
            except Exception as error:  # whatever it is: the others may have to halt
                faults.append(error)
        self._decider.trim_epoch(now_s)
        self.steps += made
        if faults:
            raise faults[0]
        return made

    def order(self, rollout: "int | str", command: Command, now_s: int) -> Step:
        """An operator's word, at once; the step that it led to. ConflictError when others are faster again and again.

        NotFoundError for a rollout that does not exist; errors of signing when nodes shall get what none would take.
        """
        self._reload(now_s)
        self._mirror.refresh(now_s * 1000)
        number = self._store.rollouts.get(rollout).id
        if number not in self._watched:
            self._watched[number] = Watched.load(self._store, number)
        told = self._decide(number, now_s, lambda watched: self._seen(watched, now_s, command=command))
        return told or Step(self._watched[number].state.rollout)

    def _reload(self, now_s: int) -> set[int]:
        """Read what somebody else changed, forget what nobody waits for; the numbers of what was read."""
        heads = self._store.rollouts.heads()
        fresh = set()
        for number, (version, phase, ended_s) in heads.items():
            wanted = phase in OPEN or (phase is not Phase.DRAFT and now_s - ended_s < WATCH_S)
            spawned = phase is Phase.DRAFT and self._is_spawned(number)
            if not wanted and not spawned:
                self._watched.pop(number, None)
            elif number not in self._watched or self._watched[number].state.rollout.version != version:
                self._read(number)
                fresh.add(number)
        return fresh

    def _is_spawned(self, number: int) -> bool:
        """Whether it is an undo that a step began: it starts by itself."""
        if number not in self._spawned:
            self._spawned[number] = self._store.rollouts.get(number).plan.parent != 0
        return self._spawned[number]

    def _read(self, number: int) -> Watched:
        told = self._watched[number].told if number in self._watched else {}
        found = Watched.load(self._store, number)
        found.told = told
        self._watched[number] = found
        return found

    def _advance(self, number: int, now_s: int) -> int:
        """Everything that one rollout has to be told now."""
        watched = self._watched[number]
        if not self._news[number] and not watched.may_change:
            return 0
        if watched.phase is Phase.DRAFT:
            start = Command(Verb.START, watched.view.created_by, f"undoes rollout {watched.plan.parent}")
            return self._decide(number, now_s, lambda found: self._seen(found, now_s, command=start)) is not None
        halt = self._yanked(watched)
        made = 0
        if halt is not None:
            made += self._decide(number, now_s, lambda found: self._seen(found, now_s, command=halt)) is not None
            watched = self._watched[number]
        if self._is_time(number, "again", AGAIN_S, now_s):  # told twice it does no harm, never told it would
            self._news[number] |= watched.flying()
            for node in watched.flying():
                watched.told.pop(node, None)
        late = due(watched.plan, watched.state, now_s)
        if late:
            self._mirror.look(late)
        reports = self._reports(watched, self._news[number] | late, late)
        extra, joined = self._judged(watched, now_s), self._joined(watched, now_s)
        if joined:
            extra["joined"] = joined
        if watched.phase in OPEN or reports or joined:
            made += self._decide(number, now_s, lambda found: self._seen(found, now_s, reports, **extra)) is not None
        made += self._decider.stop(self._watched[number], now_s)
        self._news[number] = {one.node for one in joined}  # the engine has not heard of them yet
        watched.told.update((one.node, replace(one, seen_s=0)) for one in reports)
        return made

    def _decide(self, number: int, now_s: int, seen: Callable[[Watched], Seen]) -> Step | None:
        """Decide on what there is, again when somebody else was faster."""
        for _ in range(TRIES - 1):
            try:
                return self._decider.decide(self._watched[number], seen(self._watched[number]), now_s)
            except ConflictError:
                self._read(number)
        return self._decider.decide(self._watched[number], seen(self._watched[number]), now_s)

    def _reports(self, watched: Watched, nodes: Iterable[str], late: Collection[str]) -> tuple[Report, ...]:
        """Of those of these nodes of which something is new, or of which the engine needs to hear."""
        found = []
        for node in sorted(set(nodes) & watched.members.keys()):
            member, execution = watched.members[node], watched.state.executions[node]
            report = report_of(watched.plan, watched.settings, member, execution, self._mirror.facts[node])
            if node in late or watched.told.get(node) != replace(report, seen_s=0):
                found.append(report)
        return tuple(found)

    def _seen(self, watched: Watched, now_s: int, reports: tuple[Report, ...] = (), **more: object) -> Seen:
        """What the engine needs to know of the world, besides what is new."""
        around = Surroundings(self._store, self._mirror, list(self._watched.values()), now_s)
        command = more.get("command")
        if command is not None:
            late = due(watched.plan, watched.state, now_s)
            self._mirror.look(late)
            reports = self._reports(watched, late, late)
        return replace(around.seen(watched), reports=reports, **more)  # type: ignore[arg-type]

    def _yanked(self, watched: Watched) -> Command | None:
        """The word that halts a rollout whose release nobody shall install any more."""
        if watched.phase not in (Phase.RUNNING, Phase.PAUSED) or watched.plan.goal is not Goal.RELEASE:
            return None
        for target in watched.plan.targets:
            found = self._store.releases.find(target.digest)
            if found is not None and found.yanked_s is not None:
                return Command(Verb.HALT, ACTOR, f"{found.id} was yanked by {found.yanked_by}: {found.yanked_reason}")
        return None

    def _judged(self, watched: Watched, now_s: int) -> dict[str, object]:
        """What the telemetry says, now and then."""
        found: dict[str, object] = {}
        if watched.phase is not Phase.RUNNING:
            return found
        plan, head = watched.plan, watched.state.rollout
        wave = plan.waves[min(head.wave, len(plan.waves) - 1)]
        if plan.judging.enabled and wave.judged and self._is_time(watched.id, "judge", JUDGE_S, now_s):
            judgement = self._judge(self._store, plan, watched.members, watched.state, now_s)
            if judgement is not None and judgement.verdict is not head.verdict:
                key = self._store.rollouts.add_evidence(watched.id, head.wave, judgement.packet, now_s)
                found |= {"verdict": judgement.verdict, "evidence": key, "why": judgement.why}
        return found

    def _joined(self, watched: Watched, now_s: int) -> tuple[Member, ...]:
        """Who matches by now, looked for now and then until it expires, also when all others are done with."""
        plan = watched.plan
        if plan.mode is not Mode.CONTINUOUS or watched.phase not in (Phase.RUNNING, Phase.FINISHED):
            return ()
        if is_over(plan, watched.state.rollout, now_s) or not self._is_time(watched.id, "join", JOIN_S, now_s):
            return ()
        return tuple(self._join(self._store, self._config, plan, watched.members.keys(), now_s))

    def _is_time(self, number: int, what: str, every_s: int, now_s: int) -> bool:
        last_s = self._looked_s.get((number, what))
        if last_s is not None and 0 <= now_s - last_s < every_s:
            return False
        self._looked_s[number, what] = now_s
        return True
