"""Power actions of virtual machines: deallocate, powerOff, start, restart, redeploy, reapply."""

from collections.abc import Callable
from datetime import timedelta

from localcloud.azure.errors import not_allowed
from localcloud.azure.model import Power, VirtualMachine
from localcloud.azure.operations import Operation
from localcloud.azure.site import Call, Reply, Site
from localcloud.azure.views import power_word
from localcloud.azure.virtual_machines import find, operate


def deallocate(site: Site, call: Call) -> Reply:
    """Switch off and give the hardware back."""
    machine = _free(site, call)
    if machine.ephemeral:
        raise not_allowed("Deallocation is not supported for VMs with an ephemeral OS disk.", "osDisk")
    if call.query.get("hibernate", "").lower() == "true":
        _check_hibernation(machine)

    def off() -> None:
        site.hardware.power_off(machine.unique_id, hard=False)

    return _act(site, call, machine, off, then=Power.DEALLOCATED, duration=site.choices.durations.deallocate)


def power_off(site: Site, call: Call) -> Reply:
    """Switch off and keep the hardware; `skipShutdown=true` does not ask the system first."""
    machine = _free(site, call)
    if machine.power is Power.DEALLOCATED:
        raise not_allowed(f"VM '{machine.id.name}' is deallocated; it cannot be powered off.", "powerState")
    hard = call.query.get("skipShutdown", "").lower() == "true"

    def off() -> None:
        site.hardware.power_off(machine.unique_id, hard=hard)

    durations = site.choices.durations
    duration = durations.skip_shutdown if hard else durations.power_off
    return _act(site, call, machine, off, then=Power.STOPPED, duration=duration)


def start(site: Site, call: Call) -> Reply:
    """Switch on; after a deallocation there may be no capacity."""
    machine = _free(site, call)
    lack = None
    if machine.power is Power.DEALLOCATED:
        lack = site.faults.allocation(call.route.action, call.route.scope)

    def on() -> None:
        site.hardware.power_on(machine.unique_id)

    reply = _act(site, call, machine, on, then=Power.RUNNING, duration=site.choices.durations.start)
    if lack is not None and reply.operation is not None:
        reply.operation.fail(lack)
    return reply


def restart(site: Site, call: Call) -> Reply:
    """Switch off and on again."""
    machine = _free(site, call)
    word = power_word(machine, site.hardware)
    if word != "running":
        raise not_allowed(f"VM '{machine.id.name}' is {word}; start it.", "powerState")
    again, duration = _again(site, machine, hard=False), site.choices.durations.restart
    return _act(site, call, machine, again, then=Power.RUNNING, duration=duration)


def redeploy(site: Site, call: Call) -> Reply:
    """Move to another host: off and on again, or just on."""
    machine = _free(site, call)
    again, duration = _again(site, machine, hard=True), site.choices.durations.restart
    return _act(site, call, machine, again, then=Power.RUNNING, duration=duration)


def reapply(site: Site, call: Call) -> Reply:
    """Bring the virtual machine's state in order: a failed one is good again, its power stays."""
    machine = _free(site, call)
    return _act(site, call, machine, _nothing, then=machine.power, duration=site.choices.durations.update)


def _free(site: Site, call: Call) -> VirtualMachine:
    machine = find(site, call)
    site.free_to_write(machine)
    return machine


def _check_hibernation(machine: VirtualMachine) -> None:
    if not (machine.properties.get("additionalCapabilities") or {}).get("hibernationEnabled"):
        raise not_allowed(f"VM '{machine.id.name}' is not enabled for hibernation.", "hibernate")


def _again(site: Site, machine: VirtualMachine, *, hard: bool) -> Callable[[], None]:
    def again() -> None:
        site.hardware.power_off(machine.unique_id, hard=hard)
        site.hardware.power_on(machine.unique_id)

    return again


def _nothing() -> None:
    """The hardware stays as it is."""


def _act(
    site: Site,
    call: Call,
    machine: VirtualMachine,
    hardware: Callable[[], None],
    *,
    then: Power,
    duration: timedelta,
) -> Reply:
    def work() -> None:
        if operation.effective:
            hardware()

    def finish(ended: Operation) -> None:
        if ended.effective:
            machine.power = then

    operation = operate(site, call, machine, finish=finish, work=work, duration=duration)
    return Reply(status=202, operation=operation)
