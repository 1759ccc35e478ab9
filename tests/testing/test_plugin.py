"""The plugin in a run of pytest of its own: what it sets, what it puts back, what it refuses."""

import subprocess
import sys

import pytest

from localcloud.cloud import LocalCloud

pytest_plugins = ["pytester"]

WITHOUT_EXTRA = """
import sys
sys.modules["moto"] = None
"""


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    """What a cloud consists of is loaded: a run inside this process forgets again what it has loaded first."""
    with LocalCloud() as cloud:
        cloud.client("ssm").describe_parameters()


def test_the_environment_leads_to_the_cloud_and_is_put_back(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "AKIATHEIRS", "AZURE_CLIENT_SECRET": "theirs"}
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(
        """
        import os

        import boto3
        import pytest

        THEIRS = ("AWS_PROFILE", "AZURE_CLIENT_SECRET")

        @pytest.fixture(scope="module")
        def default_session():
            boto3.DEFAULT_SESSION = theirs = object()
            yield theirs
            boto3.DEFAULT_SESSION = None

        def test_inside(default_session, local_cloud):
            assert not [name for name in THEIRS if name in os.environ]
            assert boto3.client("sts").get_caller_identity()["Account"] == local_cloud.world.account

        def test_after(default_session):
            assert os.environ["AWS_PROFILE"] == "production"
            assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIATHEIRS"
            assert os.environ["AZURE_CLIENT_SECRET"] == "theirs"
            assert "AWS_ENDPOINT_URL" not in os.environ
            assert "AWS_SHARED_CREDENTIALS_FILE" not in os.environ
            assert boto3.DEFAULT_SESSION is default_session
        """
    )

    pytester.runpytest_inprocess("-q").assert_outcomes(passed=2)


def test_no_file_of_the_user_gives_credentials(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    home = pytester.mkdir("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIATHEIRS\naws_secret_access_key = theirs\n"
    )
    monkeypatch.setenv("HOME", str(home))
    pytester.makepyfile(
        """
        import boto3

        def test_inside(local_cloud, monkeypatch):
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.delenv(name)
            assert boto3.Session().get_credentials() is None
        """
    )

    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "outcome"), [((), {"passed": 1, "failed": 1}), (("--moorings-cloud-scope=module",), {"passed": 2})]
)
def test_a_cloud_lives_as_long_as_is_said(
    pytester: pytest.Pytester, options: tuple[str, ...], outcome: dict[str, int]
) -> None:
    pytester.makepyfile(
        """
        def test_writes(local_cloud):
            local_cloud.client("ssm").put_parameter(Name="/a", Value="1", Type="String")

        def test_reads(local_cloud):
            assert local_cloud.client("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "1"
        """
    )

    pytester.runpytest_inprocess("-q", *options).assert_outcomes(**outcome)


@pytest.mark.parametrize(
    ("setting", "told"),
    [("moorings_cloud_scope = forever", "*forever*one of function, class*"), ("moorings_scale = 7", "*'7'*at most 1*")],
)
def test_a_setting_that_makes_no_sense_is_refused(pytester: pytest.Pytester, setting: str, told: str) -> None:
    pytester.makeini(f"[pytest]\n{setting}\n")
    pytester.makepyfile("def test_it(local_cloud): pass")

    result = pytester.runpytest_inprocess("-q")

    assert result.ret != 0
    result.stdout.fnmatch_lines([told])


def test_without_the_extra_a_fixture_says_what_to_install_and_all_else_works(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(WITHOUT_EXTRA)
    pytester.makepyfile("def test_else(): pass\ndef test_it(local_cloud): pass")

    result = pytester.runpytest_subprocess("-q")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*missing: moto*pip install 'moorings?local?'*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_nothing_is_imported_before_a_fixture_is_asked_for() -> None:
    heavy = "{'boto3', 'botocore', 'moto', 'localcloud', 'starlette', 'azure', 'typer', 'rich'}"
    program = f"import sys, moorings.testing.plugin; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("option", "outcome"), [((), {"skipped": 1}), (("--moorings-require-servers",), {"errors": 1})]
)
def test_a_host_without_servers_is_said(
    pytester: pytest.Pytester, option: tuple[str, ...], outcome: dict[str, int]
) -> None:
    pytester.makeconftest(
        """
        import pytest
        from localcloud.errors import CannotRun
        from localcloud.machines import host

        @pytest.fixture(autouse=True)
        def bare(monkeypatch):
            def requirements():
                raise CannotRun("this host has no namespaces; use another one")
            monkeypatch.setattr(host, "requirements", requirements)
        """
    )
    pytester.makepyfile("def test_it(enrolled_node): pass")

    result = pytester.runpytest_inprocess("-q", "-rs", *option)

    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*this host has no namespaces; use another one*"])


def test_a_failure_is_shown_where_the_test_has_called(pytester: pytest.Pytester) -> None:
    """The lines of the plugin are nobody's business, unless the error is of another kind."""
    pytester.makefile(
        ".yaml", waits="schemaVersion: '0.3'\nmainSteps:\n- {name: Ask, action: 'aws:pause', inputs: {}}\n"
    )
    pytester.makepyfile("def test_it(run_runbook): run_runbook('waits.yaml', within=0.1)")

    result = pytester.runpytest_inprocess("-q")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_it(run_runbook): run_runbook*", "E *after 0.1 s: *", "*Ask (aws:pause): *"])
    result.stdout.no_fnmatch_line("*testing/*.py:*")


def test_workers_have_clouds_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(local_cloud):
            ssm = local_cloud.client("ssm")
            ssm.put_parameter(Name="/mine", Value="1", Type="String")  # refused if another worker's were there
        """
    )

    result = pytester.runpytest_subprocess("-q", "-n2", "--dist=each", "--moorings-cloud-scope=session")

    result.assert_outcomes(passed=2)
