#!/bin/sh
# Last step of making an image: takes every trace of this server's identity out. The agent itself may stay installed.
set -eu
for unit in amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
  systemctl stop "$unit" 2>/dev/null || true # it would write its state again
done
rm -rf /var/lib/amazon/ssm /var/lib/moorings /root/.aws/credentials
: >/etc/machine-id # empty, not absent: the next boot makes a new one
if command -v cloud-init >/dev/null; then cloud-init clean; fi # or the next server believes that its first boot is over
