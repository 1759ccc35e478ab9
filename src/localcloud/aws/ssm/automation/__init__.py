"""Systems Manager Automation in the local cloud: the engine of `localcloud.automation` behind the service's APIs."""
