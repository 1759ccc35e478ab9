#!/bin/sh
# Part of a simulated server: its power button is outside. Nothing happens, whatever is asked.
echo "$(basename "$0") (simulated): ignored" >&2
exit 0
