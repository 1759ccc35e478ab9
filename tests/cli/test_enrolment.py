"""Looking at enrolment and rotating it, from the command line."""

import json
import uuid

from tests.cli.conftest import Cli, Deployed

from localcloud.cloud import LocalCloud


def test_status_tells_a_pools_activations_slots_and_standby(cli: Cli, stack: Deployed) -> None:
    """What the ledger holds is what status shows."""
    environment = stack.rig.environment()
    first = stack.rig.vend(environment)
    stack.rig.keep()

    shown = cli("enrolment", "status", "--stack-name", stack.name, "--json")

    assert shown.code == 0
    pool = shown.json["pools"][0]
    assert pool["current"]["activation"] == first
    assert (pool["current"]["issued"], pool["current"]["limit"], pool["current"]["registered"]) == (1, 2, 0)
    assert pool["standby"]["issued"] == 0
    assert pool["slots_left"] == 3
    assert pool["granted_this_hour"] == 1
    assert shown.json["configuration_version"] == 1


def test_status_as_text_is_complete_and_shows_no_code(cli: Cli, stack: Deployed) -> None:
    """Ids are whole even in a pipe, and a code is nowhere."""
    environment = stack.rig.environment()
    answer = stack.rig.ask(environment)

    shown = cli("enrolment", "status", "--stack-name", stack.name)

    assert answer["ActivationId"] in shown.out
    assert "1/2" in shown.out
    assert answer["ActivationCode"] not in shown.out + shown.err
    assert shown.err == ""


def test_status_tells_the_draining_and_when_they_are_deleted(cli: Cli, stack: Deployed) -> None:
    """A retired activation is shown with its end until the keeper has deleted it."""
    environment = stack.rig.environment()
    used = [stack.rig.vend(environment) for _ in range(3)]

    pool = cli("enrolment", "status", "--stack-name", stack.name, "--json").json["pools"][0]

    assert [each["activation"] for each in pool["draining"]] == [used[0]]
    assert pool["draining"][0]["deleted_at"].endswith("Z")
    assert pool["current"]["activation"] == used[2]


def test_single_use_activations_are_told_apart_from_leaks(cli: Cli, stack: Deployed) -> None:
    """A single-use pool has no ledger entry for its activations, and they are no leaks."""
    made = stack.rig.keyed(stack.rig.environment(), pool="one")

    pools = cli("enrolment", "status", "--stack-name", stack.name, "--json").json["pools"]

    one = next(pool for pool in pools if pool["pool"] == "one")
    assert [each["activation"] for each in one["single_use"]] == [made["ActivationId"]]
    assert one["unknown"] == []


def test_grants_are_shown_newest_first_by_the_hash_of_their_key(cli: Cli, stack: Deployed) -> None:
    """A key opens its grant, so it is never shown."""
    environment, keys = stack.rig.environment(), [str(uuid.uuid4()) for _ in range(3)]
    for key in keys:
        stack.rig.keyed(environment, key)

    shown = cli("enrolment", "grants", "--stack-name", stack.name, "--json")
    two = cli("enrolment", "grants", "--stack-name", stack.name, "--most", "2", "--json")

    assert len(shown.json["grants"]) == 3
    assert two.json["grants"] == shown.json["grants"][:2]
    assert not any(key in shown.out for key in keys)


def test_grants_of_another_pool_are_left_out(cli: Cli, stack: Deployed) -> None:
    """--pool keeps to that pool; nothing found is said on stderr and is no failure."""
    stack.rig.keyed(stack.rig.environment())

    shown = cli("enrolment", "grants", "--stack-name", stack.name, "--pool", "one")

    assert (shown.code, shown.out) == (0, "")
    assert "no grants of pool one" in shown.err


def test_rotating_makes_the_standby_current_and_drains_the_old(cli: Cli, stack: Deployed) -> None:
    """The next server draws from the standby; slots that were granted stay good."""
    environment = stack.rig.environment()
    old = stack.rig.vend(environment)
    stack.rig.keep()
    standby = stack.rig.state().standby.id

    done = cli("enrolment", "rotate", "default", "--stack-name", stack.name, "--yes", "--json")

    assert (done.json["retired"], done.json["current"], done.json["rotated"]) == (old, standby, True)
    assert stack.rig.vend(environment) == standby
    assert [each.id for each in stack.rig.state().draining] == [old]


def test_rotating_without_a_standby_leaves_the_pool_to_the_next_request(cli: Cli, stack: Deployed) -> None:
    """Nothing is current then, until somebody asks."""
    environment = stack.rig.environment()
    old = stack.rig.vend(environment)

    done = cli("enrolment", "rotate", "default", "--stack-name", stack.name, "--yes")

    assert done.code == 0
    assert "there was no standby" in done.out
    assert stack.rig.state().current is None
    assert stack.rig.vend(environment) != old


def test_a_dry_run_of_rotate_changes_nothing(cli: Cli, stack: Deployed) -> None:
    """It says the same and does nothing."""
    stack.rig.vend(stack.rig.environment())
    before = stack.rig.state()

    said = cli("enrolment", "rotate", "default", "--stack-name", stack.name, "--dry-run", "--json").json

    assert (said["retired"], said["rotated"], said["dry_run"]) == (before.current.id, False, True)
    assert stack.rig.state() == before


def test_rotate_names_the_pools_there_are(cli: Cli, stack: Deployed) -> None:
    """An unknown pool is a mistake of the caller."""
    refused = cli("enrolment", "rotate", "nope", "--stack-name", stack.name, "--yes")

    assert refused.code == 2
    assert refused.err == "moorings: there is no pool nope\n  remedy: name one of: default, one\n"


def test_a_single_use_pool_cannot_be_rotated(cli: Cli, stack: Deployed) -> None:
    """It has no current activation by its nature."""
    refused = cli("enrolment", "rotate", "one", "--stack-name", stack.name, "--yes")

    assert refused.code == 2
    assert "single-use" in refused.err


def test_rotate_asks_before_it_retires(cli: Cli, stack: Deployed) -> None:
    """Without a terminal there is nobody to ask, so --yes is needed."""
    current = stack.rig.vend(stack.rig.environment())

    refused = cli("enrolment", "rotate", "default", "--stack-name", stack.name)

    assert refused.code == 2
    assert "--yes" in refused.err
    assert stack.rig.state().current.id == current


def test_a_stack_that_is_not_there_is_named_with_its_region(cli: Cli) -> None:
    """The remedy says how to make one."""
    refused = cli("enrolment", "status", "--stack-name", "nowhere")

    assert refused.code == 2
    assert "there is no enrolment stack nowhere in us-east-1" in refused.err
    assert "moorings enrolment deploy" in refused.err


def test_a_stack_that_is_something_else_is_not_taken_for_enrolment(cli: Cli, cloud: LocalCloud) -> None:
    """It has no outputs that could be followed."""
    template = {"Resources": {"Mark": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "x"}}}}
    cloud.client("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(template))

    refused = cli("enrolment", "status", "--stack-name", "other")

    assert refused.code == 3
    assert "no outputs of enrolment" in refused.err


def test_a_dry_run_of_remove_names_the_stacks(cli: Cli, stack: Deployed) -> None:
    """And deletes none."""
    said = cli("enrolment", "remove", "--stack-name", stack.name, "--dry-run", "--json").json

    assert said == {"dry_run": True, "stacks": [stack.name]}
    assert cli("enrolment", "status", "--stack-name", stack.name).code == 0
