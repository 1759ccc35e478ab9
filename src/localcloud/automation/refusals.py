"""What the pure half of the engine refuses: documents, their parameters, values of the wrong type."""

from localcloud.errors import LocalCloudError


class InvalidDocument(LocalCloudError):
    """The document is none, in the words of CreateDocument's InvalidDocumentContent."""


class DocumentTooLarge(InvalidDocument):
    """The document is over the size that the service takes (MaxDocumentSizeExceeded)."""


class InvalidParameters(LocalCloudError):
    """The execution cannot start with these parameters (InvalidAutomationExecutionParametersException)."""


class CannotConvert(LocalCloudError):
    """The service converts no such value to that type; a step with such an output fails (PostVerification)."""
