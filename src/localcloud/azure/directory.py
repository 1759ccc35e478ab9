"""What Resource Manager itself answers: subscriptions, resource groups, locks, the caller's permissions."""

from localcloud.azure.errors import subscription_not_found
from localcloud.azure.site import Call, Reply, Site


def subscription(site: Site, call: Call) -> Reply:
    """One subscription."""
    wanted = call.route.subscription.lower()
    if wanted not in site.state.subscriptions:
        raise subscription_not_found(call.route.subscription)
    return Reply(
        status=200,
        document={
            "id": f"/subscriptions/{wanted}",
            "subscriptionId": wanted,
            "tenantId": site.tenant_id,
            "displayName": "Local cloud",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
        },
    )


def group(site: Site, call: Call) -> Reply:
    """One resource group."""
    found = site.state.group(call.route.subscription, call.route.group)
    return Reply(
        status=200,
        document={
            "id": f"/subscriptions/{call.route.subscription}/resourceGroups/{found.name}",
            "name": found.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": found.location,
            "tags": dict(found.tags),
            "properties": {"provisioningState": "Succeeded"},
        },
    )


def locks(site: Site, call: Call) -> Reply:
    """The locks at a scope, above and below it; with `$filter=atScope()` those at and above it."""
    _check_scope(site, call)
    below = call.query.get("$filter", "").replace(" ", "").lower() != "atscope()"
    return Reply(status=200, document=[lock.view() for lock in site.locks.at(call.route.scope, below=below)])


def permissions(site: Site, call: Call) -> Reply:
    """What the caller may do at a scope, one entry for each role."""
    _check_scope(site, call)
    found = site.rbac.permissions(call.caller, call.route.scope)
    return Reply(status=200, document=[each.view() for each in found])


def _check_scope(site: Site, call: Call) -> None:
    if call.route.group:
        site.state.group(call.route.subscription, call.route.group)
    elif call.route.subscription.lower() not in site.state.subscriptions:
        raise subscription_not_found(call.route.subscription)
