"""What a reference in double braces means inside one execution.

Source: Systems Manager User Guide, "Automation variables", and the observed behaviour of the service's own runbooks.
"""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from localcloud.automation import interpolation
from localcloud.automation.actions.protocol import ActionFailed, Surroundings
from localcloud.automation.document import Runbook
from localcloud.automation.journal import Journal
from localcloud.automation.parameters import stored_names

_STORED = "ssm:"
_VARIABLE = "variable:"


class SystemScope:
    """What needs no step: `global:`, `automation:`, and what Parameter Store held when the execution began."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._stored: dict[str, str] = {}

    def lookup(self, reference: str) -> Any:
        """The value of a reference; KeyError if it has none here."""
        if reference.startswith(_STORED):
            return self._stored[reference.removeprefix(_STORED)]
        return _SYSTEM[reference](self._surroundings)

    def fetch(self, runbook: Runbook) -> None:
        """Read what the defaults name in Parameter Store; raises ActionFailed if one cannot be had."""
        for name in sorted(stored_names(runbook)):
            try:
                found = self._surroundings.client("ssm").get_parameter(Name=name)["Parameter"]
            except Exception as error:  # the door to a foreign client: whatever it raises, the parameter cannot be had
                raise ActionFailed(f"Parameter {name} of Parameter Store could not be read: {error}") from error
            if found["Type"] == "SecureString":
                raise ActionFailed(f"Parameter {name} is a SecureString, to which no document may refer.")
            self._stored[name] = str(found["Value"])


class ParameterScope:
    """The parameters of an execution. A default may hold references, which are resolved when it is used, once only."""

    def __init__(self, bound: Mapping[str, Any], *, given: frozenset[str], system: SystemScope) -> None:
        self._bound = bound
        self._given = given
        self._system = system

    def lookup(self, reference: str) -> Any:
        """What a reference inside a default means: other parameters are not looked into again."""
        return self._system.lookup(reference) if ":" in reference else self._bound[reference]

    def value(self, name: str) -> Any:
        """The parameter's value as it is used now; KeyError without such a parameter."""
        value = self._bound[name]
        return value if name in self._given else interpolation.resolve(value, self)

    def values(self) -> dict[str, Any]:
        """All of them, by name."""
        return {name: self.value(name) for name in self._bound}

    def __contains__(self, name: str) -> bool:
        """Whether the document has such a parameter."""
        return name in self._bound


class RunScope:
    """All references of a running execution; reads what it is given at the moment of asking."""

    def __init__(
        self, *, parameters: ParameterScope, system: SystemScope, variables: Mapping[str, Any], journal: Journal
    ) -> None:
        self._parameters = parameters
        self._system = system
        self._variables = variables
        self._journal = journal

    def lookup(self, reference: str) -> Any:
        """The value of a reference; KeyError if it has none (yet)."""
        if reference.startswith(_VARIABLE):
            return self._variables[reference.removeprefix(_VARIABLE)]
        if ":" in reference:
            return self._system.lookup(reference)
        step, dot, output = reference.partition(".")
        if dot:
            return (self._journal.outputs(step) or {})[output]
        # The documentation's branch examples name a variable without its prefix.
        return self._parameters.value(reference) if reference in self._parameters else self._variables[reference]

    def resolve(self, value: Any) -> Any:
        """`value` with every reference that has a value replaced."""
        return interpolation.resolve(value, self)


def _now(surroundings: Surroundings, form: str) -> str:
    return surroundings.clock.now().astimezone(UTC).strftime(form)


_SYSTEM: Mapping[str, Callable[[Surroundings], str]] = {
    "global:DATE": lambda around: _now(around, "%Y-%m-%d"),
    "global:DATE_TIME": lambda around: _now(around, "%Y-%m-%d_%H.%M.%S"),
    "global:REGION": lambda around: around.region,
    "global:ACCOUNT_ID": lambda around: around.account,
    "global:AWS_PARTITION": lambda around: around.partition,
    "automation:EXECUTION_ID": lambda around: around.execution_id,
}
