#!/bin/sh
# Part of a simulated server: dnf and yum for packages given as a file or URL. There are no repositories.
# As by default, the signature of a local package is not checked (localpkg_gpgcheck=0); `rpm -K` does that.
verb="" packages=""
for word in "$@"; do
	case $word in
	-*) ;;
	*) if [ -z "$verb" ]; then verb=$word; else packages="$packages $word"; fi ;;
	esac
done
fetched=""
trap '[ -z "$fetched" ] || rm -f "$fetched"' EXIT
for package in $packages; do
	case $verb in
	install | localinstall | upgrade | update | reinstall)
		case $package in
		http://* | https://*)
			fetched=$(mktemp) || exit 1
			curl -fsS -o "$fetched" "$package" || { echo "Cannot download $package" >&2; exit 1; }
			package=$fetched
			;;
		*.rpm) ;;
		*)
			if rpm -q "$package" >/dev/null; then echo "Package $package is already installed."; continue; fi
			echo "Error: Unable to find a match: $package" >&2
			exit 1
			;;
		esac
		rpm -U --force "$package" || exit 1
		echo "Complete!"
		;;
	remove | erase)
		if rpm -q "$package" >/dev/null; then rpm -e "$package" || exit 1; else echo "No match for argument: $package"; fi
		echo "Complete!"
		;;
	list | info) rpm -q "$package" || exit 1 ;;
	*)
		echo "$(basename "$0") (simulated): $verb is not supported" >&2
		exit 1
		;;
	esac
done
