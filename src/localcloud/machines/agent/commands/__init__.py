"""Run Command on the node: documents read, steps run, results kept on the disk until the service has them."""
