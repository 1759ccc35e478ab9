"""The manual's page on testing: its example is a whole one, and it works."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.machines

PAGE = Path(__file__).parent.parent.parent / "docs" / "testing-your-runbooks.md"


def files() -> dict[str, str]:
    """The files that the page shows, by the name in their first line."""
    blocks = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.mark.parametrize(
    ("module", "scope", "passed"), [("test_restart.py", "function", 3), ("test_hooks.py", "module", 2)]
)
def test_the_example_passes(pytester: pytest.Pytester, able: None, module: str, scope: str, passed: int) -> None:
    for name, text in files().items():
        (pytester.path / name).write_text(text)

    options = ("-q", "--moorings-require-servers", f"--moorings-cloud-scope={scope}")
    pytester.runpytest_subprocess(*options, module).assert_outcomes(passed=passed)
