"""What the engine refuses, by what the caller asked for; the APIs word each as the service does.

AutomationError
├── DocumentNotFound, DocumentVersionNotFound   there is no such runbook
├── InvalidTargets                              Targets or TargetMaps that cannot be
├── CannotAssumeRole                            the runbook's role does not exist, or does not trust Systems Manager
├── LimitExceeded                               too many executions wait already
├── TokenMismatch                               the client token was used for another request
├── ExecutionNotFound, StepNotFound             there is no such execution or step
├── CannotStop                                  the execution is over, or already being stopped
└── SignalRefused                               nothing waits for this signal

Parameters that do not fit raise `refusals.InvalidParameters`.
"""

from localcloud.errors import LocalCloudError


class AutomationError(LocalCloudError):
    """Root of the engine's refusals."""


class DocumentNotFound(AutomationError):
    """There is no Automation document of that name."""


class DocumentVersionNotFound(AutomationError):
    """The document has no such version."""


class InvalidTargets(AutomationError):
    """Targets, TargetMaps or their parameter cannot be."""


class CannotAssumeRole(AutomationError):
    """Systems Manager may not take on the runbook's role."""


class LimitExceeded(AutomationError):
    """No more executions can wait."""


class TokenMismatch(AutomationError):
    """The client token belongs to a request with other parameters."""


class ExecutionNotFound(AutomationError):
    """No execution has this id."""


class StepNotFound(AutomationError):
    """The execution has no such step."""


class CannotStop(AutomationError):
    """The execution cannot be stopped any more, or again."""


class SignalRefused(AutomationError):
    """Nothing waits for this signal."""
