"""A report as one HTML page: no script, nothing from elsewhere, readable in light and dark, printable.

Whatever comes from a server is escaped here, at the one place where text becomes HTML.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from moorings.cli.output import counted, span
from moorings.cli.patch.report_model import LANES, LONGEST_OUTPUT, NodeReport, Report, Span
from moorings.cli.patch.rows import clock_time, outcome_word
from moorings.cli.patch.story import (
    evidence_rows,
    next_words,
    outcome_words,
    restore_words,
    step_name,
    verdict_words,
)
from moorings.cli.terminal import clean
from moorings.patching.model import Moment
from moorings.patching.standing import short_name

MOST_IN_OVERVIEW = 200  # nodes in the table and the timeline of all
_STYLE = Path(__file__).with_name("report.css")
_SIGNS = {"PATCHED": "✓", "UNCHANGED": "–", "ROLLED_BACK": "↺", "ROLLBACK_FAILED": "✗", "UNDECIDED": "?"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_TICKS = 5
_COMMANDS = ("az ", "mi-", "moorings ")


def page(report: Report) -> str:
    """The whole page."""
    title = f"Patching {report.began_at:%Y-%m-%d %H:%M} UTC" if report.began_at else "Patching"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{_text(title)}</title>",
            f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head><body><main>",
            *_head(report, title),
            *_overview(report),
            *_nodes(report),
            *_foot(report),
            "</main></body></html>\n",
        ]
    )


def _head(report: Report, title: str) -> Iterable[str]:
    where = f"{report.document} · stack {report.stack} · {report.region}"
    yield f'<header><h1>{_text(title)}</h1><span class="soft">{_text(where)}</span></header>'
    lasted = f", in {span(report.ended_at - report.began_at)}" if report.began_at and report.ended_at else ""
    wrong = sum(node.story.standing.wrong for node in report.nodes)
    well = "nothing is wrong" if not report.wrong else f"{wrong} not well" if wrong else "not all were begun"
    yield f'<p class="lead">{_text(counted(len(report.nodes), "node"))}{_text(lasted)}: <b>{_text(well)}</b>.</p>'
    if report.stopped:
        yield f'<p class="warn">Stopped: {_text(report.stopped)}.</p>'
    if len(report.nodes) < 2:
        return
    yield '<div class="tiles">'
    for outcome, number in report.counts.items():
        sign = _SIGNS.get(outcome, "·")
        yield f'<div class="tile {_tone(outcome)}"><b>{number:,}</b><span>{sign} {_text(outcome)}</span></div>'
    yield "</div>"
    shares = "".join(
        f'<i class="{_tone(outcome)}" style="flex:{number}"></i>' for outcome, number in report.counts.items()
    )
    yield f'<div class="share" role="presentation">{shares}</div>'


def _overview(report: Report) -> Iterable[str]:
    if len(report.nodes) < 2:
        return
    shown = report.nodes[:MOST_IN_OVERVIEW]
    if report.began_at and report.ended_at:
        yield '<h2>When</h2><div class="card"><div class="lanes">'
        for node in shown:
            yield _name(node)
            yield f'<div class="lane">{_bars(node, report.began_at, report.ended_at)}</div>'
        yield f"<span></span>{_axis(report.began_at, report.ended_at)}</div>{_key()}</div>"
    yield '<h2>Nodes</h2><div class="card scroll"><table><thead><tr><th>Node</th><th>VM</th><th>Outcome</th>'
    yield '<th class="number">Time</th><th>Reason</th></tr></thead><tbody>'
    for number, node in enumerate(shown):
        standing = node.story.standing
        outcome, lasted = outcome_word(standing), standing.lasted(report.made_at)
        time = clock_time(lasted.total_seconds()) if lasted is not None else ""
        yield (
            f'<tr class="{_tone(outcome)}"><td class="mono id"><a href="#n{number}">{_text(standing.node)}</a></td>'
            f'<td class="id">{_text(standing.vm)}</td><td>{_badge(outcome)}</td>'
            f'<td class="number">{time}</td><td>{_text(standing.reason)}</td></tr>'
        )
    yield "</tbody></table></div>"
    if len(report.nodes) > len(shown):
        yield f'<p class="soft">… and {counted(len(report.nodes) - len(shown), "node")} more, below.</p>'


def _nodes(report: Report) -> Iterable[str]:
    yield f"<h2>{'Each node' if len(report.nodes) > 1 else 'The node'}</h2>"
    for number, node in enumerate(report.nodes):
        standing = node.story.standing
        outcome, lasted = outcome_word(standing), standing.lasted(report.made_at)
        opened = " open" if standing.wrong or len(report.nodes) == 1 else ""
        time = clock_time(lasted.total_seconds()) if lasted is not None else ""
        yield f'<details class="node {_tone(outcome)}" id="n{number}"{opened}><summary>'
        yield f'<span class="mono">{_text(standing.node)}</span><span>{_text(standing.vm)}</span>'
        yield f'{_badge(outcome)}<span class="end">{time}</span></summary><div class="inside">'
        yield from _inside(node, report.made_at)
        yield "</div></details>"


def _inside(node: NodeReport, now: datetime) -> Iterable[str]:
    story = node.story
    standing, run = story.standing, story.run
    if standing.reason:
        yield f'<p class="why">{_sentence(standing.reason)}</p>'
    if words := outcome_words(standing.outcome):
        yield f'<p class="soft">{_sentence(words)}</p>'
    for warning in standing.warnings:
        yield f'<p class="warn">Note: {_text(warning)}.</p>'
    yield f'<div class="next">{"<br>".join(_sentence(line) for line in next_words(story, now))}</div>'
    yield from _timeline(node, now)
    if run is not None and run.evidence is not None:
        yield f"<h3>Evidence</h3>{_facts(evidence_rows(run.evidence))}"
    if run is not None and run.judgement is not None:
        verdict = run.judgement.verdict
        told = f"{verdict.value}: {verdict_words(verdict)}. Because {run.judgement.reason}"
        yield f"<h3>Verdict</h3><p>{_sentence(told)}</p>"
    if run is not None and run.restore is not None:
        yield f"<h3>Restore</h3><p>{_sentence(restore_words(run.restore))}</p>"
    if story.failed_steps:
        rows = [(step_name(step), f"{step.status}. {step.failure}") for step in story.failed_steps]
        yield f"<h3>Steps that failed</h3>{_facts(rows)}"
    yield from _printed(node)
    yield from _identity(node)


def _timeline(node: NodeReport, now: datetime) -> Iterable[str]:
    standing, run = node.story.standing, node.story.run
    began, ended = standing.began_at, standing.ended_at or now
    if began is not None and node.spans:
        yield '<h3>Timeline</h3><div class="lanes">'
        for lane in LANES:
            spans = [each for each in node.spans if each.lane == lane]
            if spans:
                bars = "".join(_bar(each, began, ended) for each in spans)
                yield f'<span class="name">{_text(lane)}</span><div class="lane">{bars}</div>'
        yield f"<span></span>{_axis(began, ended)}</div>"
    if run is not None and run.timeline:
        yield "<h3>What happened (UTC)</h3>"
        yield _moments(run.timeline, run.began_at)


def _moments(moments: Sequence[Moment], began: datetime) -> str:
    rows = "".join(
        f"<tr><td>{each.at:%H:%M:%S}</td><td>+{clock_time((each.at - began).total_seconds())}</td>"
        f"<td>{_text(each.told)}</td></tr>"
        for each in moments
    )
    return f'<table class="moments"><tbody>{rows}</tbody></table>'


def _printed(node: NodeReport) -> Iterable[str]:
    if not node.printed:
        return
    yield "<h3>What the node printed</h3>"
    for each in node.printed:
        cut = f" (the last {LONGEST_OUTPUT:,} characters; {each.cut:,} before them are left out)" if each.cut else ""
        yield f'<details class="printed"><summary>{_text(each.title)}{_text(cut)}</summary>'
        yield f"<pre>{_text(each.text)}</pre></details>"


def _identity(node: NodeReport) -> Iterable[str]:
    standing, run = node.story.standing, node.story.run
    rows = [("execution", standing.execution.id)] if standing.execution else []
    if run is not None and run.vm is not None:
        rows.append(("VM", run.vm.id))
    if run is not None and run.leftovers:
        rows.append(("still there", ", ".join(short_name(one) for one in run.leftovers)))
    if rows:
        yield f"<h3>Where</h3>{_facts(rows, mono=True)}"


def _facts(rows: Iterable[tuple[str, str]], *, mono: bool = False) -> str:
    kind = ' class="mono"' if mono else ""
    cells = "".join(f"<tr><td>{_text(name)}</td><td{kind}>{_text(value)}</td></tr>" for name, value in rows)
    return f'<table class="facts"><tbody>{cells}</tbody></table>'


def _bars(node: NodeReport, began: datetime, ended: datetime) -> str:
    """A node on the timeline of all: its steps, or its whole run if they are not known."""
    if node.spans:
        return "".join(_bar(each, began, ended) for each in node.spans)
    standing = node.story.standing
    if standing.began_at is None:
        return ""
    left, width = _place(standing.began_at, standing.ended_at or ended, began, ended)
    tone = _tone(outcome_word(standing))
    return f'<i class="whole {tone}" style="left:{left:.2f}%;width:{width:.2f}%"></i>'


def _bar(each: Span, began: datetime, ended: datetime) -> str:
    left, width = _place(each.began_at, each.ended_at, began, ended)
    failed = " failed" if each.status in {"Failed", "TimedOut"} else ""
    told = f"{each.name}: {each.status}, {span(timedelta(seconds=each.seconds))}"
    return (
        f'<i class="{each.lane.replace(" ", "-")}{failed}" style="left:{left:.2f}%;width:{width:.2f}%" '
        f'title="{_text(told)}"></i>'
    )


def _place(from_: datetime, to: datetime, began: datetime, ended: datetime) -> tuple[float, float]:
    """Where a bar begins and how wide it is, in percent of the whole."""
    whole = max((ended - began).total_seconds(), 1e-3)
    left = min(max((from_ - began).total_seconds() / whole * 100, 0), 100)
    return left, min(max((to - from_).total_seconds() / whole * 100, 0), 100 - left)


def _axis(began: datetime, ended: datetime) -> str:
    whole = (ended - began).total_seconds()
    ticks = "".join(
        f'<span style="left:{100 * number / (_TICKS - 1):.0f}%">{clock_time(whole * number / (_TICKS - 1))}</span>'
        for number in range(_TICKS)
    )
    return f'<div class="axis">{ticks}</div>'


def _key() -> str:
    items = "".join(f'<span><i class="{lane.replace(" ", "-")}"></i>{_text(lane)}</span>' for lane in LANES)
    return f'<div class="key">{items}</div>'


def _name(node: NodeReport) -> str:
    standing = node.story.standing
    return f'<span class="name" title="{_text(standing.node)}">{_text(standing.vm or standing.node)}</span>'


def _foot(report: Report) -> Iterable[str]:
    executions = ", ".join(report.executions)
    yield f"<footer><p>Made {report.made_at:%Y-%m-%d %H:%M} UTC from the records of stack {_text(report.stack)}.</p>"
    if report.detailed < len(report.nodes):
        yield f"<p>Steps are shown of {counted(report.detailed, 'node')}; of the others, their records.</p>"
    yield f'<p>Executions: <span class="mono">{_text(executions)}</span></p></footer>'


def _badge(outcome: str) -> str:
    return f'<span class="badge {_tone(outcome)}">{_SIGNS.get(outcome, "·")} {_text(outcome)}</span>'


def _tone(outcome: str) -> str:
    return outcome.lower().replace("_", "-") if outcome in _SIGNS else "other"


def _sentence(words: str) -> str:
    """Words as a sentence: a capital first, but not for a command."""
    starts = not words.startswith(_COMMANDS)
    return _text(words[:1].upper() + words[1:] if starts else words)


def _text(text: str) -> str:
    return escape(clean(text), quote=True)
