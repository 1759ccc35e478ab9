"""Which alarms DescribeAlarms shows: those that every given filter lets through.

moto heeds the first filter that it finds and forgets the others: a state beside a prefix showed all of the prefix.
Source: CloudWatch API Reference, DescribeAlarms ("You can filter the results by specifying a prefix for the alarm name,
the alarm state, or a prefix for any action").
"""

from typing import Any

from moto.core.responses import ActionResult


def describe(response: Any) -> ActionResult:
    """What moto's response to DescribeAlarms is made of, in the place of moto's own method."""
    names, state = response._get_param("AlarmNames", []), response._get_param("StateValue")
    prefix, action = response._get_param("AlarmNamePrefix", ""), response._get_param("ActionPrefix", "")
    shown = [
        alarm
        for alarm in response.cloudwatch_backend.describe_alarms()
        if (not names or alarm.name in names)
        and (not state or alarm.state_value == state)
        and alarm.name.startswith(prefix)
        and (not action or any(each.startswith(action) for each in alarm.alarm_actions))
    ]
    return ActionResult(
        {
            "MetricAlarms": [alarm for alarm in shown if alarm.rule is None],
            "CompositeAlarms": [alarm for alarm in shown if alarm.rule is not None],
        }
    )
