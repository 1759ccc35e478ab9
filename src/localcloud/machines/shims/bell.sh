#!/bin/sh
# Part of a simulated server: asks the machine's init to do what this program would do, and exits with its answer.
# Init finds out who asked, with which arguments and open files, from the process number.
bell=/run/localcloud/bell
answer=$bell.$$
if ! mkfifo -m 600 "$answer" 2>/dev/null; then
	echo "$0: cannot reach the simulated machine's init at $bell" >&2
	exit 71
fi
# Init takes 3, 4 and 5: the shell itself moves 0 and 1 about while it writes and reads.
exec 3<&0 4>&1 5>&2 9<>"$answer"
printf '%s\n' "$$" >"$bell"
code=70
read -r code <&9
exit "${code:-70}"
