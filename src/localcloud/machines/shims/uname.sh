#!/bin/sh
# Part of a simulated server: a processor architecture that is not the host's.
machine=@MACHINE@
kernel=/proc/sys/kernel
[ $# -gt 0 ] || set -- -s
out=""
for option in "$@"; do
	case $option in
	-m | --machine | -p | --processor | -i | --hardware-platform) word=$machine ;;
	-s | --kernel-name) word=$(cat $kernel/ostype) ;;
	-r | --kernel-release) word=$(cat $kernel/osrelease) ;;
	-n | --nodename) word=$(cat $kernel/hostname) ;;
	-v | --kernel-version) word=$(cat $kernel/version) ;;
	-o | --operating-system) word=GNU/Linux ;;
	-a | --all)
		word="$(cat $kernel/ostype) $(cat $kernel/hostname) $(cat $kernel/osrelease) $(cat $kernel/version) $machine GNU/Linux"
		;;
	-sm | -ms) word="$(cat $kernel/ostype) $machine" ;;
	*)
		echo "uname: unrecognized option '$option'" >&2
		exit 1
		;;
	esac
	out="$out${out:+ }$word"
done
printf '%s\n' "$out"
