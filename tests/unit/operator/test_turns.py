"""Models that follow a change of their class by turns, and what their own changes do meanwhile: rounds over objects kept in memory."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from memory_clusters import ClusterInMemory, roll_out
from scoring_operator.api import Manifest
from scoring_operator.errors import ClusterError, Rejected
from scoring_operator.kinds import DEPLOYMENT, HARDWARE_CLASS, SCORING_MODEL, SERVICE_ACCOUNT, Key, Kind
from scoring_operator.reconcile import Reconciler
from scoring_operator.settings import Settings
from scoring_operator.store import Store

NAMES = ("a", "b", "c")
ROUNDS = 4


class Team:
    """Three models of one class, and who reconciles them."""

    def __init__(self, settings: Settings, build_body: Callable[..., Manifest]) -> None:
        self.store = Store()
        self.cluster = ClusterInMemory(self.store)
        self.woken: list[Key] = []
        given: Any = self.cluster
        self.reconciler = Reconciler(given, self.store, settings, self.woken.append)
        self._build_body = build_body
        self.put_class("cpu", memory="1Gi")
        for name in NAMES:
            self.edit(name)
            self.roll_out(name)

    def put_class(self, name: str, memory: str) -> None:
        """Create or change a hardware class."""
        spec = {"resources": {"requests": {"cpu": 1, "memory": memory}}}
        metadata = {"name": name, "uid": name, "generation": 1}
        self.cluster.put(HARDWARE_CLASS, {"metadata": metadata, "spec": spec})

    def edit(self, name: str, **spec: Any) -> None:
        """Write a model's next generation, as a user would, and reconcile it."""
        old = self.store.get(SCORING_MODEL, "team", name) or {"metadata": {"generation": 0}}
        body = self._build_body(name, old["metadata"]["generation"] + 1, old.get("status"), hardwareClass="cpu")
        body["metadata"]["uid"] = name
        body["spec"].update(spec)
        self.cluster.put(SCORING_MODEL, body)
        self.reconcile(name)

    def reconcile(self, name: str) -> None:
        """Do rounds until the model rests, or the cluster refuses."""
        with suppress(ClusterError):
            for _ in range(ROUNDS):
                if asyncio.run(self.reconciler.reconcile(Key("team", name))) is None:
                    return

    def restart(self, settings: Settings) -> None:
        """Start the operator anew with other settings, and reconcile all models."""
        given: Any = self.cluster
        self.reconciler = Reconciler(given, self.store, settings, self.woken.append)
        self.reconciler.join_rollouts()
        for name in NAMES:
            self.reconcile(name)

    def roll_out(self, name: str) -> None:
        """Have a model's pods come up."""
        self.cluster.put(DEPLOYMENT, roll_out(self.get(DEPLOYMENT, name)))
        self.reconcile(name)

    def change_class(self) -> None:
        """Change the class, and reconcile its models: the first takes the only turn, and the others wait."""
        self.put_class("cpu", memory="2Gi")
        for name in NAMES:
            self.reconcile(name)

    def has(self, kind: Kind, name: str) -> bool:
        """Tell whether there is an object."""
        return self.store.has(kind, "team", name)

    def get(self, kind: Kind, name: str) -> Manifest:
        """Return an object, which is there."""
        found = self.store.get(kind, "team", name)
        assert found is not None
        return found

    def get_ready(self, name: str) -> tuple[str, str]:
        """Return status and reason of a model's Ready condition."""
        ready = self.get(SCORING_MODEL, name)["status"]["conditions"][0]
        return ready["status"], ready["reason"]


@pytest.fixture
def team(settings: Settings, build_body: Callable[..., Manifest]) -> Team:
    return Team(settings, build_body)


def test_service_account_stays_until_no_pod_names_it_any_more(
    settings: Settings, build_body: Callable[..., Manifest]
) -> None:
    """Pods that name one that is gone cannot be made: not those of a model that waits, nor those of one that rolls out."""
    team = Team(settings.model_copy(update={"service_accounts": "always"}), build_body)
    team.restart(settings)
    assert team.reconciler.rollouts.count("cpu") == (1, 2)
    assert [team.has(SERVICE_ACCOUNT, name) for name in NAMES] == [True, True, True]
    team.roll_out("a")
    assert [team.has(SERVICE_ACCOUNT, name) for name in NAMES] == [False, True, True]


def test_service_account_stays_while_the_deployment_without_it_is_refused(team: Team) -> None:
    team.edit("a", runtime={"serviceAccount": {"annotations": {"a": "b"}}})
    team.roll_out("a")
    team.cluster.refusals[DEPLOYMENT] = Rejected("403: exceeded quota")
    team.edit("a", runtime={})
    assert team.has(SERVICE_ACCOUNT, "a")
    team.cluster.refusals.clear()
    team.reconcile("a")
    team.roll_out("a")
    assert not team.has(SERVICE_ACCOUNT, "a")


def test_model_that_waits_for_its_turn_follows_a_change_of_its_own_at_once(team: Team) -> None:
    team.change_class()
    assert team.reconciler.rollouts.count("cpu") == (1, 2)
    team.edit("c", replicas=5)
    assert team.get(DEPLOYMENT, "c")["spec"]["replicas"] == 5


def test_change_of_a_models_own_that_failed_at_first_does_not_wait_for_a_turn(team: Team) -> None:
    """Ready would speak of the version before, under the generation of the new one."""
    team.change_class()
    team.cluster.refusals[DEPLOYMENT] = ClusterError("500: failed calling webhook")
    team.edit("c", replicas=5)
    assert team.get_ready("c") == ("False", "ApplyFailed")
    team.cluster.refusals.clear()
    team.reconcile("c")
    assert team.get(DEPLOYMENT, "c")["spec"]["replicas"] == 5
    assert team.get_ready("c") == ("Unknown", "RollingOut")


def test_model_whose_new_class_comes_later_does_not_wait_for_a_turn_in_it(team: Team) -> None:
    team.change_class()
    team.edit("c", hardwareClass="big")
    assert team.get_ready("c") == ("False", "HardwareClassNotFound")
    team.put_class("big", memory="8Gi")
    team.reconciler.rollouts.join(Key("team", "x"), "big")
    team.reconcile("c")
    assert team.get_ready("c") == ("Unknown", "RollingOut")


def test_status_of_an_operator_before_this_rule_is_read_as_applied(team: Team) -> None:
    body = team.get(SCORING_MODEL, "b")
    status = {name: value for name, value in body["status"].items() if name != "appliedGeneration"}
    team.cluster.put(SCORING_MODEL, {**body, "status": status})
    team.change_class()
    assert team.reconciler.rollouts.count("cpu") == (1, 2)
    assert team.get(SCORING_MODEL, "b")["status"]["appliedGeneration"] == 1


def test_model_that_turns_invalid_while_it_waits_lets_the_next_go_first(team: Team) -> None:
    team.change_class()
    team.edit("b", model={"uri": "nonsense"})
    team.roll_out("a")
    assert team.woken == [Key("team", "c")]


def test_model_that_waits_in_another_class_meanwhile_holds_nobody_up(team: Team) -> None:
    rollouts = team.reconciler.rollouts
    team.change_class()
    rollouts.join(Key("team", "x"), "big")
    assert not rollouts.begin(Key("team", "b"), "big", 1)
    team.roll_out("a")
    assert team.woken == [Key("team", "c")]
