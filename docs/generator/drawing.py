"""A few shapes of SVG: boxes with text, arrows with labels. Legible on light and on dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

# One panel under everything: a viewer that does not know the reader's colours still shows dark text on light.
STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 14px; fill: #3d474d; }
  .title { font-weight: 600; font-size: 15px; fill: #16242b; }
  .small { font-size: 13px; }
  .panel { fill: #ffffff; stroke: #d5dcdf; }
  .plain { fill: #f5f7f8; stroke: #8b979e; }
  .ours { fill: #dff0f3; stroke: #0f6377; }
  .good { fill: #dafbe1; stroke: #1a7f37; }
  .over { fill: #fdf1d7; stroke: #a86a00; }
  .loop { fill: #fbefff; stroke: #8250df; }
  .group { fill: none; stroke: #8c959f; stroke-dasharray: 5 4; }
  .line { fill: none; stroke: #57606a; stroke-width: 1.5; }
  .head { fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #c9d1d9; }
    .title { fill: #f0f6fc; }
    .panel { fill: #0c1215; stroke: #2b363c; }
    .plain { fill: #182126; stroke: #87949b; }
    .ours { fill: #0c3742; stroke: #5fb3c4; }
    .good { fill: #033a16; stroke: #3fb950; }
    .over { fill: #3a2705; stroke: #d99f35; }
    .loop { fill: #271052; stroke: #a371f7; }
    .group { stroke: #6e7681; }
    .line { stroke: #8b949e; }
    .head { fill: #8b949e; }
  }
"""
LINE = 18  # pixels from one line of text to the next


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; its four sides are where arrows begin and end."""

    x: int
    y: int
    width: int
    height: int

    @property
    def left(self) -> tuple[int, int]:
        return (self.x, self.y + self.height // 2)

    @property
    def right(self) -> tuple[int, int]:
        return (self.x + self.width, self.y + self.height // 2)

    @property
    def top(self) -> tuple[int, int]:
        return (self.x + self.width // 2, self.y)

    @property
    def bottom(self) -> tuple[int, int]:
        return (self.x + self.width // 2, self.y + self.height)


@dataclass(slots=True)
class Drawing:
    """Shapes in the order in which they are drawn."""

    width: int
    height: int
    title: str
    description: str
    _parts: list[str] = field(default_factory=list)

    def box(self, box: Box, title: str, lines: Sequence[str] = (), *, kind: str = "plain", round_: int = 8) -> Box:
        """A box with a bold title and lines below it, in its middle."""
        self._parts.append(
            f'<rect class="{kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{round_}"/>'
        )
        texts = [(title, "title"), *((line, "small") for line in lines)] if title else []
        first = box.y + (box.height - LINE * len(texts)) // 2 + 13
        for number, (text, style) in enumerate(texts):
            self.text((box.x + box.width // 2, first + LINE * number), text, style=style)
        return box

    def text(self, at: tuple[int, int], text: str, *, style: str = "small", anchor: str = "middle") -> None:
        """One line of text around `at`."""
        self._parts.append(
            f'<text class="{style}" x="{at[0]}" y="{at[1]}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
        )

    def arrow(
        self,
        *points: tuple[int, int],
        label: Sequence[str] = (),
        at: tuple[int, int] | None = None,
        anchor: str = "middle",
    ) -> None:
        """A line through `points` with a head at its end; the label's lines stand above `at` (else the middle)."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(f'<polyline class="line" points="{path}" marker-end="url(#head)"/>')
        (x1, y1), (x2, y2) = points[0], points[-1]
        x, y = at or ((x1 + x2) // 2, (y1 + y2) // 2 - 8)
        for number, line in enumerate(label):
            self.text((x, y - LINE * (len(label) - 1 - number)), line, anchor=anchor)

    def line(self, *points: tuple[int, int]) -> None:
        """A line without a head, such as one that joins another."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(f'<polyline class="line" points="{path}"/>')

    def svg(self) -> str:
        """The whole picture."""
        body = "\n".join(f"  {part}" for part in self._parts)
        size = f'viewBox="0 0 {self.width} {self.height}"'
        return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title description">
  <title id="title">{escape(self.title)}</title>
  <desc id="description">{escape(self.description)}</desc>
  <style>{STYLE}  </style>
  <defs>
    <marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
      <path class="head" d="M0,0 L10,5 L0,10 z"/>
    </marker>
  </defs>
  <rect class="panel" x="1" y="1" width="{self.width - 2}" height="{self.height - 2}" rx="10"/>
{body}
</svg>
"""
