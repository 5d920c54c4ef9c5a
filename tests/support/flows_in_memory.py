"""A cluster of flows in memory: it plays the store and the workers, on a clock of its own."""

import json
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

from bridge.flows import definition, values
from bridge.flows.checking import checked
from bridge.flows.machine import decide
from bridge.flows.model import (
    Ask,
    Body,
    Cancel,
    CancelAsked,
    ChildEnded,
    CodeOf,
    Due,
    End,
    Event,
    FlowAt,
    Nothing,
    Proceed,
    Push,
    Resumed,
    Run,
    ScriptAt,
    Transition,
)
from bridge.flows.restarting import restarted
from bridge.flows.scope import Answer, Evaluate, Failed, Found, Question, Received, Resume, Resumes
from bridge.flows.status import Status, encoded, first_status
from bridge.jobs.tags import interpolate
from tests.support.flow_rows import Job, Row, Rows
from tests.support.flow_vectors import JobSeen, Outcome, Vector, check_shown
from tests.support.javascript import Javascript

START_S: Final = 1_800_000_000.0
WORKSPACE: Final = "shops"
TURNS_MAX: Final = 20_000  # more than any of our flows needs: a flow that turns for ever is a bug
ROOT: Final = "00000000-0000-0000-0000-0000000f1010"


class Stuck(Exception):
    """Nothing can happen any more, and the flow has not ended."""

    def __init__(self, shown: dict[str, Any]) -> None:
        super().__init__(shown)
        self.shown = shown


class Memory:
    def __init__(self, javascript: Javascript, vector: Vector) -> None:
        self._javascript = javascript
        self._vector = vector
        self._acts = deque(vector.acts)
        self._offline = set(vector.offline)
        self.now_s = START_S
        self.rows = Rows()
        self.seen: list[JobSeen] = []
        self.at_once: Counter[str] = Counter()
        self.turns = 0

    def outcome(self) -> Outcome:
        """Of the flow, once it has ended. Raises `Stuck`."""
        root = self._begin(ROOT, self._root_status())
        self._until_ended(root)
        again = self._vector.run.get("restart")
        if again is not None:
            root = self._restart(root, again)
            self._until_ended(root)
        assert self.unended() == []  # it leaves nothing behind
        assert root.job.result is not None
        assert root.job.end is not None
        return Outcome(
            status=root.job.end,
            result=json.loads(root.job.result),
            flow_status=self.rows.shown(root),
            jobs=self.seen,
            at_once=self.at_once,
            ended_after_s=self.now_s - START_S,
        )

    def stuck(self) -> dict[str, Any] | None:
        """What the flow shows when nothing can happen to it any more; None: it has ended."""
        try:
            self.outcome()
        except Stuck as stuck:
            return stuck.shown
        return None

    def unended(self) -> list[Job]:
        return [job for job in self.rows.jobs.values() if job.end is None]

    def _root_status(self) -> Status:
        return first_status(self._value(), preprocess=bool(self._vector.run.get("preprocess")))

    def _value(self) -> definition.FlowValue:
        text = json.dumps(self._vector.value).encode()
        value = checked(definition.parsed(text))
        assert definition.parsed(definition.encoded(value)) == value
        return value

    def _begin(self, job_id: str, status: Status) -> Row:
        run, value = self._vector.run, self._value()
        kind = run.get("kind", "flowpreview")
        args = json.dumps(self._vector.args).encode()
        tag = interpolate(
            run.get("tag", "flow"), WORKSPACE, {k: _raw(v) for k, v in self._vector.args.items()}
        )
        job = Job(job_id=job_id, kind=kind, tag=tag, args=args, due_s=self.now_s)
        self.rows.jobs[job_id] = job
        row = Row(job=job, value=value, status=status, kind=kind, path=run.get("path"))
        row.priority = run.get("priority")
        row.events.append(Proceed())
        self.rows.flows[job_id] = row
        self.seen.append(JobSeen(step_id=None, kind=kind, tag=tag))
        return row

    def _restart(self, old: Row, again: Mapping[str, Any]) -> Row:
        n = again.get("n")
        begun = restarted(old.value, old.status, old.job.job_id, again["step_id"], n)
        self.seen.clear()
        row = self._begin(ROOT.replace("f", "e"), begun.status)
        for copy in begun.copies:
            row.children += [
                (module_id, 0, position, job_id)
                for module_id, round_, position, job_id in old.children
                if (module_id, round_) == (copy.module_id, copy.old_round) and position < copy.below
            ]
        return row

    def _until_ended(self, root: Row) -> None:
        while root.job.end is None:
            if not (self._turn() or self._work() or self._act() or self._pass_time()):
                raise Stuck(self.rows.shown(root))

    def _turn(self) -> bool:
        row = next((one for one in self.rows.flows.values() if one.events and one.job.end is None), None)
        if row is None:
            return False
        self.turns += 1
        assert self.turns < TURNS_MAX
        event = row.events.popleft()
        self._apply(row, self._decided(row, event))
        return True

    def _decided(self, row: Row, event: Event) -> Transition:
        run, before = self._run(row), encoded(row.status)
        answers: dict[Question, Answer] = {}
        out = decide(run, event, answers)
        while isinstance(out, Ask):
            assert out.questions
            assert not set(out.questions) & set(answers)
            answers |= {question: self._answer(question) for question in out.questions}
            out = decide(run, event, answers)
        assert encoded(row.status) == before  # it is pure
        assert out.wake_at_s is None or out.wake_at_s > self.now_s  # else it would wake for ever
        assert encoded(out.status) == encoded(_same(decide(run, event, answers)).status)
        return out

    def _run(self, row: Row) -> Run:
        return Run(
            job_id=row.job.job_id,
            workspace=WORKSPACE,
            value=row.value,
            status=row.status,
            kind=row.kind,  # type: ignore[arg-type]  # a vector says it
            tag=row.job.tag,
            now_s=self.now_s,
            path=row.path,
            priority=row.priority,
            parent_job=row.parent,
            root_job=row.root,
            flow_innermost_root_job=row.innermost,
        )

    def _apply(self, row: Row, out: Transition) -> None:
        for cancel in out.cancels:
            self._cancel(row, cancel)
        for items in out.items:
            row.items[items.module_id, items.round] = json.loads(items.json)
            assert len(json.loads(items.json)) == items.length
        row.status, row.wake_at_s = out.status, out.wake_at_s
        for push in out.pushes:
            self._push(row, push)
        if out.used_resumes is not None:
            row.words = [(out.used_resumes.job_id, word) for _, word in row.words]
        if out.new_args is not None:
            row.job.args = values.as_args(self.rows.text(out.new_args))
        if out.again:
            row.events.appendleft(Proceed())
        if out.end is not None:
            self._end_flow(row, out.end)

    def _push(self, row: Row, push: Push) -> None:
        source, args = push.source, self.rows.text(push.args)
        assert push.job_id not in self.rows.jobs
        kind = {Nothing: "identity", FlowAt: "flow", ScriptAt: "script", CodeOf: "preview"}.get(type(source))
        kind = kind or ("flowpreview" if row.kind == "flowpreview" else "flownode")
        due_s = self.now_s + push.scheduled_in_s
        job = Job(job_id=push.job_id, kind=kind, tag="", args=args, due_s=due_s, push=push)
        job.flow_id, job.entry = row.job.job_id, push.entrypoint or "main"
        job.tag = self._tag(push, args)
        self.rows.jobs[push.job_id] = job
        row.children.append((push.module_id, push.round, push.position, push.job_id))
        self._see(job, push)
        if push.ended is not None:
            job.result = self.rows.text(push.ended.result)
            self._end(job, "success" if push.ended.success else "failure", skipped=push.ended.skipped)
        elif isinstance(source, CodeOf):
            job.code = source.content
        elif isinstance(source, ScriptAt):
            self._script(job, source)
        elif isinstance(source, FlowAt | Body):
            self._flow(row, job, push)

    def _tag(self, push: Push, args: bytes) -> str:
        tags, own = push.tags, push.tags.own
        if tags.fixed is not None:
            return tags.fixed
        if own is None and isinstance(push.source, ScriptAt):
            own = self._vector.scripts.get(push.source.path, {}).get("tag")
        if own is not None:
            return interpolate(own, WORKSPACE, {k: _raw(v) for k, v in json.loads(args).items()})
        default = "python3" if isinstance(push.source, CodeOf | ScriptAt) else "flow"
        return tags.otherwise or default

    def _see(self, job: Job, push: Push) -> None:
        self.seen.append(
            JobSeen(
                step_id=push.module_id,
                kind=job.kind,
                tag=job.tag,
                scheduled_in_s=push.scheduled_in_s,
                path=push.path,
                priority=push.priority,
                pushed_after_s=self.now_s - START_S,
            )
        )
        out = [one for one in self.rows.jobs.values() if one.end is None and one.push is not None]
        together = Counter((one.flow_id, one.push.module_id) for one in out if one.push is not None)
        for (_, step), count in together.items():
            self.at_once[step] = max(self.at_once[step], count)

    def _script(self, job: Job, source: ScriptAt) -> None:
        found = self._vector.scripts.get(source.path)
        if found is None:
            self._refused(job, f"no script at {source.path}")
        else:
            job.code = found["content"]

    def _refused(self, job: Job, why: str) -> None:
        job.result = json.dumps({"error": {"name": "InternalError", "message": why}}).encode()
        self._end(job, "failure")

    def _flow(self, above: Row, job: Job, push: Push) -> None:
        source = push.source
        if isinstance(source, Body):
            value = definition.parsed(definition.encoded(source.value))
            status, path = first_status(value, failure_id=source.failure_id), push.path
        elif isinstance(source, FlowAt) and source.path in self._vector.flows:
            value = definition.parsed(json.dumps(self._vector.flows[source.path]).encode())
            status, path = first_status(value, preprocess=False), source.path
        else:
            self._refused(job, f"no flow at {push.path}")
            return
        row = Row(job=job, value=value, status=status, kind=job.kind, path=path, parent=above.job.job_id)
        row.root, row.innermost, row.priority = push.root_job, push.flow_innermost_root_job, push.priority
        row.events.append(Proceed())
        self.rows.flows[job.job_id] = row

    def _work(self) -> bool:
        for job in self.rows.jobs.values():
            if job.end is None and job.code and job.due_s <= self.now_s and job.tag not in self._offline:
                self._exec(job)
                return True
        return False

    def _exec(self, job: Job) -> None:
        names: dict[str, Any] = {}
        try:
            exec(job.code or "", names)  # noqa: S102 the vectors' own code
            job.result = json.dumps(names[job.entry](**json.loads(job.args))).encode()
        except Exception as error:  # noqa: BLE001 whatever a step's code raises is that step's failure
            told = {"name": type(error).__name__, "message": str(error)}
            job.result = json.dumps({"error": told}).encode()
            self._end(job, "failure")
        else:
            self._end(job, "success")

    def _end(self, job: Job, how: str, *, skipped: bool = False) -> None:
        job.end = how
        self._tell(job, ok=how == "success", skipped=skipped)

    def _tell(
        self, job: Job, *, ok: bool, skipped: bool = False, stopped: bool = False, handled: bool = False
    ) -> None:
        if job.push is None or job.flow_id is None or not job.told:
            return
        push = job.push
        event = ChildEnded(
            job_id=job.job_id,
            module_id=push.module_id,
            round=push.round,
            position=push.position,
            ok=ok,
            skipped=skipped,
            stopped=stopped,
            handled=handled,
        )
        self.rows.flows[job.flow_id].events.append(event)

    def _end_flow(self, row: Row, end: End) -> None:
        job = row.job
        job.result, job.end = self.rows.text(end.result), end.status
        skipped = end.status == "skipped"
        self._tell(job, ok=end.ok, skipped=skipped, stopped=end.stopped, handled=end.handled)

    def _cancel(self, row: Row, cancel: Cancel) -> None:
        for module_id, round_, _, job_id in row.children:
            job = self.rows.jobs[job_id]
            if job.end is not None or cancel.module_id not in (None, module_id):
                continue
            assert cancel.round in (None, round_)
            below = self.rows.flows.get(job_id)
            if cancel.forced:
                job.told, job.end, job.result = False, "failure", (cancel.error or "").encode()
                if below is not None:
                    self._cancel(below, Cancel(by=cancel.by, reason="", forced=True, error=cancel.error))
            elif below is not None:
                below.events.append(CancelAsked(cancel.by, cancel.reason))
            else:
                job.result = b'{"error": {"name": "Canceled", "message": ""}}'
                self._end(job, "canceled")

    def _act(self) -> bool:
        if not self._acts:
            return False
        act = dict(self._acts.popleft())
        if "sees" in act:
            check_shown(act["sees"], self.rows.shown(self._root()))
        elif "online" in act:
            self._offline.discard(act["online"])
        elif "cancel" in act:
            asked = CancelAsked("ada", act["cancel"], forced=act.get("forced", False))
            self._root().events.append(asked)
        elif "pass_s" in act:
            self._advance(self.now_s + act["pass_s"])
        else:
            self._word(act)
        return True

    def _word(self, act: Mapping[str, Any]) -> None:
        row = next((one for one in self.rows.flows.values() if self._waits(one)), self._root())
        given_for = row.job.job_id
        if not act.get("flow_level"):
            step = act.get("step")
            named = [job_id for module_id, _, _, job_id in row.children if module_id == step]
            waiting = [one.job for one in row.status.modules if one.type == "WaitingForEvents"]
            given_for = (named or waiting)[-1]
        approved = "resume" in act
        payload = json.dumps(act["resume"] if approved else None).encode()
        number = len(row.words) + 1
        word = Resume(resume_id=number, approved=approved, approver=act.get("approver"), payload=payload)
        row.words.append((given_for, word))
        row.events.append(Resumed())

    def _waits(self, row: Row) -> bool:
        waiting = any(one.type == "WaitingForEvents" for one in row.status.modules)
        return row.job.end is None and waiting

    def _pass_time(self) -> bool:
        alarms = [row.wake_at_s for row in self.rows.flows.values() if row.job.end is None]
        later = [job.due_s for job in self.rows.jobs.values() if job.end is None and job.code is not None]
        coming = [one for one in (*alarms, *later) if one is not None and one > self.now_s]
        if not coming:
            return False
        self._advance(min(coming))
        return True

    def _advance(self, now_s: float) -> None:
        self.now_s = now_s
        for row in self.rows.flows.values():
            if row.wake_at_s is not None and row.wake_at_s <= now_s and row.job.end is None:
                row.events.append(Due())

    def _root(self) -> Row:
        return next(row for row in self.rows.flows.values() if row.parent is None and row.job.end is None)

    def _answer(self, question: Question) -> Answer:
        if isinstance(question, Resumes):
            words = self.rows.flows[question.flow_id].words
            wanted = (question.job_id, question.flow_id)
            return Received(tuple(word for given_for, word in words if given_for in wanted))
        return self._evaluated(question)

    def _evaluated(self, question: Evaluate) -> Answer:
        names = {name: json.loads(self.rows.text(ref)) for name, ref in question.scope.names}
        text = f"Boolean({question.text})" if question.as_boolean else question.text
        fine, found = self._javascript.evaluate(text, names, self.rows.results(question.scope))
        return Found(json.dumps(found).encode()) if fine else Failed(str(found))


def _raw(value: Any) -> Any:
    return json.dumps(value).encode()


def _same(out: Ask | Transition) -> Transition:
    assert isinstance(out, Transition)
    return out
