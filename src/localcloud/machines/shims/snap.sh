#!/bin/sh
# Part of a simulated server: snap with one snap, the agent, preinstalled as on Ubuntu images of some clouds.
snap=amazon-ssm-agent
unit=snap.$snap.$snap
verb=${1:-help}
[ $# -gt 0 ] && shift
name=""
for word in "$@"; do
	case $word in
	-*) ;;
	*) name=${name:-$word} ;;
	esac
done
name=${name%%.*}
present() { [ -d "/snap/$snap/current" ]; }
case $verb in
list)
	if [ -n "$name" ] && { [ "$name" != $snap ] || ! present; }; then
		echo 'error: no matching snaps installed' >&2
		exit 1
	fi
	echo 'Name              Version  Rev    Tracking       Publisher  Notes'
	present && echo "$snap  @VERSION@  @REVISION@  latest/stable  aws        classic"
	exit 0
	;;
services)
	present || { echo "error: snap \"$name\" not found" >&2; exit 1; }
	if systemctl is-enabled -q $unit; then enabled=enabled; else enabled=disabled; fi
	echo 'Service                            Startup  Current   Notes'
	echo "$snap.$snap  $enabled  $(systemctl is-active $unit)  -"
	;;
start | stop | restart)
	if [ "$name" != $snap ] || ! present; then
		echo "error: snap \"$name\" not found" >&2
		exit 1
	fi
	case " $* " in
	*' --enable '*) systemctl enable $unit || exit 1 ;;
	*' --disable '*) systemctl disable $unit || exit 1 ;;
	esac
	systemctl "$verb" $unit
	;;
remove)
	if [ "$name" != $snap ] || ! present; then
		echo "snap \"$name\" is not installed" >&2
		exit 0
	fi
	systemctl stop $unit
	systemctl disable $unit
	rm -rf "/snap/$snap" "/snap/bin/$snap"* "/etc/systemd/system/$unit.service"
	echo "$snap removed"
	;;
*)
	echo "snap (simulated): $verb is not supported" >&2
	exit 1
	;;
esac
