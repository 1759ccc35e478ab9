#!/bin/sh
# Part of a simulated server: zypper for packages given as a file. There are no repositories.
# A package whose signature does not verify is refused, unless the caller allows it.
verb="" packages="" unsigned=""
for word in "$@"; do
	case $word in
	--allow-unsigned-rpm | --no-gpg-checks) unsigned=yes ;;
	-*) ;;
	*) if [ -z "$verb" ]; then verb=$word; else packages="$packages $word"; fi ;;
	esac
done
for package in $packages; do
	case $verb in
	install | in | update | up)
		case $package in
		*.rpm) ;;
		*)
			if rpm -q "$package" >/dev/null; then echo "'$package' is already installed."; continue; fi
			echo "No provider of '$package' found." >&2
			exit 104
			;;
		esac
		if [ -z "$unsigned" ] && ! rpm -K "$package" >/dev/null; then
			echo "Package header is not signed by a known key: $package" >&2
			exit 4
		fi
		rpm -U --force "$package" || exit 4
		;;
	remove | rm)
		if rpm -q "$package" >/dev/null; then rpm -e "$package" || exit 4; else echo "'$package' not found."; fi
		;;
	*)
		echo "zypper (simulated): $verb is not supported" >&2
		exit 2
		;;
	esac
done
