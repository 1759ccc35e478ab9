"""The one reader of the environment."""

from pathlib import Path

import pytest

from moorings.errors import Misconfigured
from moorings.settings import Federation, deploy_settings, enrolment_settings, patching_settings

ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "MOORINGS_TABLE": "table",
    "MOORINGS_STACK": "stack-1",
    "MOORINGS_CODE_PREFIX": "/moorings/stack-1",
    "MOORINGS_KMS_KEY": "arn:aws:kms:eu-central-1:111122223333:key/1",
    "MOORINGS_KEEPER": "keeper",
    "MOORINGS_API_URL": "https://api.example/v1",
    "MOORINGS_VPCE": "vpce-0123456789abcdef0",
    "MOORINGS_DEFAULT_CONFIGURATION": "{}",
}


def test_a_function_reads_what_its_stack_says() -> None:
    settings = enrolment_settings(ENVIRONMENT)

    assert (settings.region, settings.table, settings.stack) == ("eu-central-1", "table", "stack-1")
    assert (settings.code_prefix, settings.keeper_function) == ("/moorings/stack-1", "keeper")
    assert settings.default_configuration == "{}"
    assert settings.vpce == "vpce-0123456789abcdef0"


@pytest.mark.parametrize(
    ("said", "accepted"), [({}, set()), ({"MOORINGS_PROOFS": ""}, set()), ({"MOORINGS_PROOFS": "network"}, {"network"})]
)
def test_no_proof_is_accepted_unless_the_stack_names_it(said: dict[str, str], accepted: set[str]) -> None:
    assert enrolment_settings({**ENVIRONMENT, **said}).proofs == accepted


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_variable_is_named(name: str) -> None:
    for value in ({}, {name: ""}):
        with pytest.raises(Misconfigured, match=name) as caught:
            enrolment_settings({**{key: text for key, text in ENVIRONMENT.items() if key != name}, **value})
        assert caught.value.remedy


def test_all_missing_variables_are_named_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        enrolment_settings({})

    assert all(name in caught.value.message for name in ENVIRONMENT)


def test_the_keeper_learns_its_own_name_from_lambda() -> None:
    environment = {**ENVIRONMENT, "AWS_LAMBDA_FUNCTION_NAME": "itself"}
    del environment["MOORINGS_KEEPER"]

    assert enrolment_settings(environment).keeper_function == "itself"
    assert enrolment_settings({**environment, "MOORINGS_KEEPER": "keeper"}).keeper_function == "keeper"


def test_a_process_reads_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOORINGS_FUNCTION_PLATFORM", "python3.11/x86_64")

    assert enrolment_settings().table == "table"
    assert deploy_settings().function_platform == "python3.11/x86_64"


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, ""),  # that of the AWS profile in use
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-central-1"),
    ],
)
def test_a_deployment_goes_where_the_surroundings_say(environment: dict[str, str], region: str) -> None:
    assert deploy_settings(environment).region == region
    assert deploy_settings(environment).function_platform == ""


PATCHING = {
    "AWS_REGION": "eu-central-1",
    "MOORINGS_TABLE": "table",
    "MOORINGS_STACK": "stack-1",
    "MOORINGS_SCOPES": "/subscriptions/1 /subscriptions/2",
    "MOORINGS_CREDENTIAL_PREFIX": "/moorings/azure",
    "MOORINGS_AZURE_ENVIRONMENT": "AzurePublicCloud",
    "MOORINGS_EVENT_BUS": "default",
}


def test_a_patching_function_reads_what_its_stack_says() -> None:
    settings = patching_settings(PATCHING | {"MOORINGS_FEDERATION": '{"tenant":"t","client":"c","audience":"a"}'})

    assert settings.scopes == ("/subscriptions/1", "/subscriptions/2")
    assert settings.federation == Federation(tenant="t", client="c", audience="a")
    assert (settings.arm_url, settings.authority_url) == ("", "")


@pytest.mark.parametrize("name", PATCHING)
def test_a_variable_that_a_patching_function_lacks_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=name) as caught:
        patching_settings({key: text for key, text in PATCHING.items() if key != name})

    assert "patching stack" in caught.value.remedy


def test_no_federation_is_none() -> None:
    assert patching_settings(PATCHING | {"MOORINGS_FEDERATION": ""}).federation is None


@pytest.mark.parametrize("text", ["{", "[]", '{"tenant":"t"}'])
def test_a_federation_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="MOORINGS_FEDERATION"):
        patching_settings(PATCHING | {"MOORINGS_FEDERATION": text})


def test_anchors_are_found_where_the_layer_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert patching_settings(PATCHING).anchors is None
    (tmp_path / "moorings_anchors").mkdir()
    (tmp_path / "moorings_anchors" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    assert patching_settings(PATCHING).anchors == tmp_path / "moorings_anchors"


def test_a_deployment_is_told_where_its_anchors_lie() -> None:
    assert deploy_settings({"MOORINGS_ANCHORS": "/etc/anchors"}).anchors == Path("/etc/anchors")


def test_anchors_lie_among_the_users_settings_unless_they_are_named(tmp_path: Path) -> None:
    """XDG: below its directory of settings; one that is not absolute counts for nothing."""
    home = {"HOME": str(tmp_path)}
    there = tmp_path / ".config" / "moorings" / "anchors"

    assert deploy_settings(home).anchors is None
    assert deploy_settings({**home, "XDG_CONFIG_HOME": "settings"}).anchors_home == there
    assert deploy_settings({**home, "XDG_CONFIG_HOME": "/etc"}).anchors_home == Path("/etc/moorings/anchors")
    there.mkdir(parents=True)
    assert deploy_settings(home).anchors == deploy_settings(home).anchors_home == there
    assert deploy_settings({**home, "MOORINGS_ANCHORS": "/etc/anchors"}).anchors_home == Path("/etc/anchors")
