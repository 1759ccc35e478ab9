#!/bin/sh
# Part of a simulated server: the host's real dpkg, told that this machine has another processor architecture.
for argument in "$@"; do
	[ "$argument" = --print-architecture ] && { echo @DEBIAN@; exit 0; }
done
exec /usr/libexec/localcloud/dpkg "$@"
