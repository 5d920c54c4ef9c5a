"""`flow_status`, key by key (openflow.md 3): falses and empty lists are left out."""

from bridge.flows.definition import FlowValue, Identity, Module
from bridge.flows.refs import OfJob
from bridge.flows.rendering import Child, flow_status
from bridge.flows.status import Approver, Loop, ModuleStatus, Status, decoded, encoded, first_status

WAITING = {"type": "WaitingForPriorSteps", "id": "a"}
NIL = "00000000-0000-0000-0000-000000000000"


def child(position: int, job_id: str, *, success: bool | None = None, round_: int = 0) -> Child:
    return Child(
        module_id="a",
        round=round_,
        position=position,
        job_id=job_id,
        success=success,
        tag="pos-n",
        worker="ag-shops-n" if success is None else None,
    )


def shown(state: ModuleStatus, *children: Child) -> object:
    return flow_status(Status(modules=[state]), children)["modules"][0]


def test_of_a_flow_that_has_not_begun() -> None:
    assert flow_status(first_status(FlowValue(modules=[Module(id="a", value=Identity())])), []) == {
        "step": 0,
        "modules": [WAITING],
        "failure_module": {"type": "WaitingForPriorSteps", "id": "failure"},
        "preprocessor_module": None,
        "cleanup_module": {},
    }


def test_a_step_that_a_site_holds_says_which() -> None:
    state = ModuleStatus(id="a", type="WaitingForExecutor", job="j1")
    held = [{"job": "j1", "tag": "pos-n", "worker": "ag-shops-n"}]
    assert shown(state, child(0, "j1")) == {
        "type": "WaitingForExecutor", "id": "a", "job": "j1", "held": held,
    }  # fmt: skip


def test_a_step_whose_job_has_started_is_in_progress() -> None:
    begun = Child(module_id="a", round=0, position=0, job_id="j1", started_at_s=1.0, worker="w")
    state = ModuleStatus(id="a", type="WaitingForExecutor", job="j1")
    assert flow_status(Status(modules=[state]), [begun])["modules"][0]["type"] == "InProgress"


def test_a_success_says_whether_it_was_skipped() -> None:
    state = ModuleStatus(id="a", type="Success", job="j1", approvers=[Approver(7, "ada")])
    assert shown(state) == {
        "type": "Success", "id": "a", "job": "j1", "skipped": False,
        "approvers": [{"resume_id": 7, "approver": "ada"}],
    }  # fmt: skip


def test_a_failure_says_what_was_tried() -> None:
    assert shown(ModuleStatus(id="a", type="Failure", failed_retries=["j1"])) == {
        "type": "Failure", "id": "a", "job": NIL, "failed_retries": ["j1"],
    }  # fmt: skip


def test_a_loop_lists_the_children_of_its_round() -> None:
    loop = Loop(kind="for", parallel=True, length=3, pushed=2, ended=1)
    state = ModuleStatus(id="a", type="InProgress", job="f", loop=loop, round=1)
    children = [
        child(1, "j3", round_=1),
        child(0, "j2", success=True, round_=1),
        child(0, "j1", success=False),
    ]
    assert shown(state, *children) == {
        "type": "InProgress", "id": "a", "job": "f", "parallel": True,
        "flow_jobs": ["j2", "j3"],
        "flow_jobs_success": [True, None],
        "flow_jobs_duration": {"started_at": [None, None], "duration_ms": [None, None]},
        "iterator": {"index": 1, "itered_len": 3},
        "held": [{"job": "j3", "tag": "pos-n", "worker": "ag-shops-n"}],
    }  # fmt: skip


def test_a_while_loop_knows_no_length() -> None:
    state = ModuleStatus(id="a", type="InProgress", job="j1", loop=Loop(kind="while", pushed=3, ended=2))
    assert shown(state) == {
        "type": "InProgress", "id": "a", "job": "j1", "flow_jobs": [], "iterator": {"index": 2},
        "while_loop": True,
    }  # fmt: skip


def test_a_serial_branchall_says_at_which_branch_it_is() -> None:
    loop = Loop(kind="branchall", length=4, pushed=2, ended=1)
    state = ModuleStatus(id="a", type="InProgress", job="j1", loop=loop)
    assert shown(state) == {
        "type": "InProgress", "id": "a", "job": "j1", "flow_jobs": [], "branchall": {"branch": 1, "len": 4},
    }  # fmt: skip


def test_what_is_stored_reads_back() -> None:
    loop = Loop(kind="branchall", length=4, pushed=2, ended=1, open=[1, 2])
    state = ModuleStatus(id="a", type="Success", result=OfJob("j1"), loop=loop)
    status = Status(modules=[state], step=1, failure_module=ModuleStatus(id="failure"))
    assert decoded(encoded(status)) == status
