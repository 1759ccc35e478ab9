#!/bin/sh
# Part of a simulated server: as much of rpm as installing one signed package needs.
# A simulated package is a gzipped tar of `metadata`, `postinstall`, `preuninstall`, `payload.tar` and, over the first four
# joined, `signature` (OpenPGP, detached). Keys and signatures are checked by the real gpgv, also where a test has put that out
# of the server's way. Of digests it knows none: gzip's checksum stands in for them, and no line of output claims one.
database=/var/lib/localcloud-rpm
signed='metadata postinstall preuninstall payload.tar'
umask 022
PATH=$PATH:/usr/libexec/localcloud

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

signature_state() { # OK, NOKEY, BAD or NOTFOUND, and the signing key's short id; as rpm 4.18, it does not ask whether a key has expired
	[ -s "$work/signature" ] || { echo NOTFOUND; return; }
	ring=$keyring
	[ -s "$ring" ] || ring=/dev/null
	# shellcheck disable=SC2086 # a list of names
	said=$(cd "$work" && cat $signed >joined && gpgv -q --status-fd 1 --keyring "$ring" signature joined 2>/dev/null)
	id=$(echo "$said" | sed -n 's/^\[GNUPG:\] \(GOOD\|EXPKEY\|BAD\|ERR\)SIG [0-9A-F]\{8\}\([0-9A-F]\{8\}\) .*/\2/p' | tr A-F a-f)
	case $said in
	*'] GOODSIG '* | *'] EXPKEYSIG '*) echo "OK $id" ;;
	*'] NO_PUBKEY '*) echo "NOKEY $id" ;;
	*) echo "BAD $id" ;;
	esac
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
	[ -z "$verbose" ] || echo "$1:"
	unpack "$1"
	state=$(signature_state)
	case $state in
	OK*) words="digests signatures OK" code=0 ;;
	NOTFOUND) if [ "$level" = all ]; then words="digests SIGNATURES NOT OK" code=1; else words="digests OK" code=0; fi ;;
	*) words="digests SIGNATURES NOT OK" code=1 ;;
	esac
	if [ -z "$verbose" ]; then
		echo "$1: $words"
	elif [ "$state" = NOTFOUND ]; then
		[ "$level" != all ] || printf '    RSA signature: NOTFOUND\n    DSA signature: NOTFOUND\n'
	else # over header and payload, as by `rpmsign --rpmv3`
		echo "    V4 RSA/SHA512 Signature, key ID ${state#* }: ${state% *}"
	fi
	[ "$code" = 0 ] || exit 1
}

install_file() {
	unpack "$1"
	[ "$arch" = "$(uname -m)" ] || fail "	package $name-$version.$arch is intended for a different architecture"
	case $(signature_state) in OK*) false ;; esac && echo "warning: $1: Header OpenPGP signature: NOKEY" >&2
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

define() { # "NAME VALUE"
	case ${1%% *} in
	_dbpath) database=${1#* } ;;
	_pkgverify_level) level=${1#* } ;;
	_pkgverify_flags) ;; # which parts may be left out: there is only the whole
	_keyringpath) ;; # of newer rpms; here the keys lie in the database
	*) fail "rpm (simulated): macro ${1%% *} is not supported" 64 ;;
	esac
}

mode="" replace="" files="" verbose="" level=""
[ "$(basename "$0")" = rpmkeys ] && mode=keys
while [ $# -gt 0 ]; do
	case $1 in
	-D | --define) define "$2"; shift ;;
	--dbpath) database=$2; shift ;;
	--import) mode=import ;;
	-K | --checksig) mode=check ;;
	-Kv) mode=check verbose=yes ;;
	-v | --verbose) verbose=yes ;;
	-U | -Uvh | -Uv | --upgrade | -F) mode=install ;;
	-i | -ivh | -iv | --install) mode=install ;;
	-e | --erase) mode=erase ;;
	-q | --query) mode=query ;;
	-qa) mode=list files=. ;;
	--force | --replacepkgs) replace=yes ;;
	--quiet | --nodeps | --nosignature | --nodigest | -h) ;;
	-*) fail "rpm (simulated): option $1 is not supported" 64 ;;
	*) files="$files $1" ;;
	esac
	shift
done
[ -n "$mode" ] && [ -n "$files" ] || fail "rpm (simulated): one of --import, -K, -U, -i, -e, -q and a name is needed" 64
keyring=$database/keyring.gpg
mkdir -p "$database/packages"
for file in $files; do
	case $mode in
	import) import_key "$file" ;;
	list) ls "$database/packages" ;;
	check | keys) check_file "$file" ;;
	install) install_file "$file" ;;
	erase) erase "$file" ;;
	query) query "$file" ;;
	esac
done
