#!/bin/sh
# Part of a simulated server: as much of rpm as installing one signed package needs.
# A simulated package is a gzipped tar of `metadata`, `postinstall`, `preuninstall`, `payload.tar` and, over the first four
# joined, `signature` (OpenPGP, detached). Keys and signatures are checked by the real gpgv.
database=/var/lib/localcloud-rpm
keyring=$database/keyring.gpg
signed='metadata postinstall preuninstall payload.tar'
umask 022
mkdir -p "$database/packages"

fail() {
	echo "$1" >&2
	exit "${2:-1}"
}

unpack() { # package file -> $work
	[ -r "$1" ] || fail "error: open of $1 failed: No such file or directory"
	work=$(mktemp -d) || exit 1
	trap 'rm -rf "$work"' EXIT
	tar -xzf "$1" -C "$work" --no-same-owner 2>/dev/null && [ -r "$work/metadata" ] || fail "error: $1: not an rpm package"
	name=$(sed -n 's/^NAME=//p' "$work/metadata")
	version=$(sed -n 's/^VERSION=//p' "$work/metadata")
	arch=$(sed -n 's/^ARCH=//p' "$work/metadata")
}

signature_good() {
	[ -s "$keyring" ] || return 1
	# shellcheck disable=SC2086 # a list of names
	(cd "$work" && cat $signed >joined && gpgv -q --keyring "$keyring" signature joined 2>/dev/null)
}

import_key() {
	case $1 in
	http://* | https://*) text=$(curl -fsS "$1") || fail "error: $1: import read failed(2)." ;;
	*) text=$(cat "$1") || fail "error: $1: import read failed(2)." ;;
	esac
	# From armour to binary: what stands between the empty line and the checksum.
	printf '%s\n' "$text" | tr -d '\r' |
		awk '/^-----BEGIN PGP/ {on=1; next} /^-----END PGP/ {on=0} on && body && !/^=/ {print} on && /^$/ {body=1}' |
		base64 -d >>"$keyring" || fail "error: $1: key 1 not an armored public key."
}

check_file() {
	unpack "$1"
	if signature_good; then echo "$1: digests signatures OK"; else echo "$1: digests SIGNATURES NOT OK"; exit 1; fi
}

install_file() {
	unpack "$1"
	[ "$arch" = "$(uname -m)" ] || fail "	package $name-$version.$arch is intended for a different architecture"
	signature_good || echo "warning: $1: Header OpenPGP signature: NOKEY" >&2
	if [ -e "$database/packages/$name" ] && [ -z "$replace" ] && grep -qx "VERSION=$version" "$database/packages/$name/metadata"; then
		fail "	package $name-$version.$arch is already installed"
	fi
	tar -xf "$work/payload.tar" -C / --no-same-owner --no-overwrite-dir || exit 1
	mkdir -p "$database/packages/$name"
	tar -tf "$work/payload.tar" | grep -v '/$' | sed 's,^\./,/,' >"$database/packages/$name/files"
	cp "$work/metadata" "$work/preuninstall" "$database/packages/$name/"
	sh "$work/postinstall" 1
}

erase() {
	[ -e "$database/packages/$1" ] || fail "error: package $1 is not installed"
	sh "$database/packages/$1/preuninstall" 0
	while read -r file; do rm -f "$file"; done <"$database/packages/$1/files"
	rm -rf "${database:?}/packages/$1"
}

query() {
	[ -e "$database/packages/$1" ] || { echo "package $1 is not installed"; exit 1; }
	sed -n 's/^NAME=//p; s/^VERSION=/-/p; s/^ARCH=/./p' "$database/packages/$1/metadata" | tr -d '\n'
	echo
}

mode="" replace="" files=""
[ "$(basename "$0")" = rpmkeys ] && mode=keys
while [ $# -gt 0 ]; do
	case $1 in
	--import) shift; for key in "$@"; do import_key "$key"; done; exit 0 ;;
	-K | --checksig | -Kv | --verbose) mode=check ;;
	-U | -Uvh | -Uv | --upgrade | -F) mode=install ;;
	-i | -ivh | -iv | --install) mode=install ;;
	-e | --erase) mode=erase ;;
	-q | --query) mode=query ;;
	-qa) ls "$database/packages"; exit 0 ;;
	--force | --replacepkgs) replace=yes ;;
	--quiet | --nodeps | --nosignature | --nodigest | -v | -h) ;;
	-*) fail "rpm (simulated): option $1 is not supported" 64 ;;
	*) files="$files $1" ;;
	esac
	shift
done
[ -n "$mode" ] && [ -n "$files" ] || fail "rpm (simulated): one of --import, -K, -U, -i, -e, -q and a name is needed" 64
for file in $files; do
	case $mode in
	check | keys) check_file "$file" ;;
	install) install_file "$file" ;;
	erase) erase "$file" ;;
	query) query "$file" ;;
	esac
done
