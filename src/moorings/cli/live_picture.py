"""A picture that changes in place; only a terminal shows it, so each screen says by lines what a pipe is told."""

from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.live import Live

from moorings.cli.talk import Talk


class LivePicture:
    """The ground of every screen: while it is entered, `show` draws over what it drew before."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._live = Live(console=talk.console, transient=True, auto_refresh=False) if talk.live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def live(self) -> bool:
        """Whether anybody sees the picture."""
        return self._live is not None

    def show(self, picture: RenderableType) -> None:
        """Draw the picture anew; elsewhere than in a terminal nothing happens."""
        if self._live:
            self._live.update(picture, refresh=True)
