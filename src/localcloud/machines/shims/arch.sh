#!/bin/sh
# Part of a simulated server: a processor architecture that is not the host's.
echo @MACHINE@
