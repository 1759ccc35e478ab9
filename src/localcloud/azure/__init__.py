"""Azure in the local cloud: Resource Manager compute, the token service, the metadata service of each VM."""
