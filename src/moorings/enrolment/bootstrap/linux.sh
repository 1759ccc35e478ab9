#!/usr/bin/env bash
# Makes this server a managed node of AWS Systems Manager. Run as root; run again at any time: a registered server is left
# alone, a run that was cut short is finished. Manual, with every exit code and its remedy: docs/bootstrap.md.
#
# Needs bash 4, curl, coreutils, flock, systemd and the package manager's own tools. Prints no activation code or key.
# All of it is one function that the last line calls, so that a download cut short runs nothing.
# shellcheck disable=SC2329 # several functions are called by name, through `untraced` and `answered`

moorings_bootstrap() {
  default() { [[ -n ${!1-} ]] || printf -v "$1" '%s' "$2"; } # what the environment already says stays

  settings() {
    # -- settings, filled in by the enrolment API; the environment overrides them, flags override both --
    default MOORINGS_URL ''
    default MOORINGS_REGION ''
    default MOORINGS_PACKAGES ''
    default MOORINGS_SIGNING_KEY ''
    default MOORINGS_POOL ''
    # -- end of settings --
    default MOORINGS_DEADLINE 900    # seconds, for all asking and waiting together
    default MOORINGS_RETRY_BASE 1    # seconds; the n-th pause is random in 0 .. base * 2^n
    default MOORINGS_RETRY_CAP 20    # seconds, the longest such pause
    default MOORINGS_START_WAIT 60   # seconds the agent may take to start
    default MOORINGS_START_POLL 0.5  # seconds between two looks at the agent meanwhile
    default MOORINGS_START_STAY 2    # seconds it must be seen running; an unregistered one ends after about 1.5
  }

  EXIT_USAGE=2 EXIT_REFUSED=3 EXIT_BUSY=4 EXIT_REJECTED=5 EXIT_ANSWER=6
  EXIT_ROOT=10 EXIT_SYSTEM=11 EXIT_TOOL=12 EXIT_LOCKED=13 EXIT_DOWNLOAD=14 EXIT_SIGNATURE=15
  EXIT_INSTALL=16 EXIT_REGISTRATION=17 EXIT_SERVICE=18 EXIT_UNINSTALL=19 EXIT_UNEXPECTED=70

  STATE=/var/lib/moorings
  KEY_FILE=$STATE/enrolment.key
  DATA=/var/lib/amazon/ssm # the agent's, as a package and as a (classic) snap alike
  VAULT=$DATA/Vault/Store/RegistrationKey
  SNAP=/snap/amazon-ssm-agent/current/amazon-ssm-agent
  REGISTRATION_TRIES=3
  LARGEST_ANSWER=65536
  NEED_GPGV='install gnupg2 (Red Hat) or gpg2 (SUSE), to check its detached signature'

  usage() {
    cat <<'END'
usage: [MOORINGS_…=…] bash linux.sh [--url URL] [--region REGION] [--packages URL] [--signing-key-file FILE] [--pool POOL]
                                    [--force] [--uninstall] [--help]
  --url               the enrolment API, https://…                           MOORINGS_URL
  --region            AWS Region of the activation                           MOORINGS_REGION
  --packages          where the agent's packages lie                         MOORINGS_PACKAGES
  --signing-key-file  armoured OpenPGP key that signs the packages           MOORINGS_SIGNING_KEY (its text)
  --pool              pool to draw from; none: the API's choice              MOORINGS_POOL
  --force             register anew although registered; the old node stays until deregistered
  --uninstall         remove agent and registration from this server
Tuning, in seconds: MOORINGS_DEADLINE MOORINGS_RETRY_BASE MOORINGS_RETRY_CAP
  MOORINGS_START_WAIT MOORINGS_START_POLL MOORINGS_START_STAY
END
  }

  say() { printf 'moorings: %s\n' "$*" >&2; }
  fail() { # EXIT-CODE MESSAGE
    say "$2"
    exit "$1"
  }

  options() {
    FORCE='' UNINSTALL=''
    while (($#)); do
      case $1 in
        --force) FORCE=yes ;;
        --uninstall) UNINSTALL=yes ;;
        --help) usage && exit 0 ;;
        --url | --region | --packages | --signing-key-file | --pool)
          (($# > 1)) || fail "$EXIT_USAGE" "$1 needs a value; see --help"
          option "$1" "$2"
          shift
          ;;
        *) fail "$EXIT_USAGE" "unknown option ${1//[^A-Za-z0-9=._-]/?}; see --help" ;;
      esac
      shift
    done
  }

  option() { # FLAG VALUE
    case $1 in
      --url) MOORINGS_URL=$2 ;;
      --region) MOORINGS_REGION=$2 ;;
      --packages) MOORINGS_PACKAGES=$2 ;;
      --pool) MOORINGS_POOL=$2 ;;
      --signing-key-file)
        [[ -r $2 && ! -d $2 ]] || fail "$EXIT_USAGE" "cannot read the signing key file $2"
        MOORINGS_SIGNING_KEY=$(<"$2")
        ;;
    esac
  }

  milliseconds() { # NAME: REPLY becomes the seconds in that variable, in milliseconds
    [[ ${!1} =~ ^([0-9]{1,6})(\.([0-9]{1,3}))?$ ]] || fail "$EXIT_USAGE" "$1 is not a number of seconds"
    local fraction=${BASH_REMATCH[3]}000
    REPLY=$((10#${BASH_REMATCH[1]} * 1000 + 10#${fraction:0:3}))
  }

  now() { # REPLY: milliseconds of a clock that no time server sets back
    read -r REPLY _ </proc/uptime
    REPLY=$((10#${REPLY/./} * 10))
  }

  clocks() {
    milliseconds MOORINGS_RETRY_BASE && BASE=$REPLY
    milliseconds MOORINGS_RETRY_CAP && CAP=$REPLY
    milliseconds MOORINGS_START_WAIT && START_WAIT=$REPLY
    milliseconds MOORINGS_START_STAY && START_STAY=$REPLY
    milliseconds MOORINGS_START_POLL && POLL=$MOORINGS_START_POLL
    milliseconds MOORINGS_DEADLINE && DEADLINE=$REPLY
    now && DEADLINE=$((DEADLINE + REPLY))
  }

  pause() { # ATTEMPT SECONDS: sleeps that long plus a random part that grows; fails, unslept, if that passes the deadline
    local ceiling=$((BASE << ($1 < 10 ? $1 : 10))) delay
    # Others were told the same seconds: they would all come back together.
    ((ceiling >= $2 * 1000)) || ceiling=$(($2 * 1000))
    ((ceiling <= CAP)) || ceiling=$CAP
    # Servers cloned from one image boot alike, so bash's RANDOM would be alike too.
    delay=$(($2 * 1000 + $(od -An -N4 -tu4 /dev/urandom) % (ceiling + 1)))
    now
    ((REPLY + delay < DEADLINE)) || return 1
    printf -v delay '%d.%03d' $((delay / 1000)) $((delay % 1000))
    detached sleep "$delay"
  }

  detached() { "$@" </dev/null 9>&-; } # without our input, and without the lock: what starts a daemon would keep it

  last_words() { # TEXT: REPLY, in one line: what it calls an error, or its end
    REPLY=${1//[$'\n\r\t']/ }
    [[ ! $1 =~ ERROR\ ([^$'\n']*) ]] || REPLY=${BASH_REMATCH[1]}
    ((${#REPLY} < 400)) || REPLY=${REPLY: -400}
  }

  untraced() { # runs a function that holds code or key; `bash -x` shows nothing of it
    local flags=$-
    { set +x; } 2>/dev/null
    "$@"
    [[ $flags != *x* ]] || set -x
  }

  prepare() {
    ((EUID == 0)) || fail "$EXIT_ROOT" "must run as root; for example: … | sudo bash"
    ((BASH_VERSINFO[0] >= 4)) || fail "$EXIT_SYSTEM" "bash ${BASH_VERSION} is too old; version 4 is needed"
    command -v systemctl >/dev/null || fail "$EXIT_SYSTEM" "no systemctl: systems without systemd are not supported"
    command -v flock >/dev/null || fail "$EXIT_TOOL" "flock is missing: install util-linux"
    install -d -m 0700 "$STATE"
    lock
    rm -rf "$STATE"/work.* # of runs that were killed
    WORK=$(mktemp -d "$STATE/work.XXXXXXXX")
    trap 'rm -rf "$WORK"' EXIT
  }

  lock() {
    now
    local left=$((DEADLINE - REPLY))
    ((left > 0)) || left=0
    printf -v left '%d.%03d' $((left / 1000)) $((left % 1000))
    while :; do
      exec 9>>"$STATE/lock"
      flock -w "$left" 9 || fail "$EXIT_LOCKED" "another run is at work on this server and did not end in time"
      # An --uninstall may have removed the file while we waited for it.
      if [[ /proc/self/fd/9 -ef $STATE/lock ]]; then return; fi
      install -d -m 0700 "$STATE"
    done
  }

  # -- the agent on this server ------------------------------------------------------------------------------------------

  node_id() { # REPLY: the id in the agent's vault, which alone decides; empty if there is none
    local vault=''
    REPLY=''
    [[ ! -r $VAULT ]] || vault=$(<"$VAULT")
    [[ $vault =~ \"privateKey\":\ *\"[^\"] ]] || return 0
    [[ ! $vault =~ \"instanceID\":\ *\"(mi-[0-9A-Za-z]{1,64})\" ]] || REPLY=${BASH_REMATCH[1]}
  }

  find_agent() { # AGENT, SERVICE and KIND; fails if there is no agent
    SERVICE=amazon-ssm-agent.service
    if [[ -x $SNAP ]]; then
      KIND=snap AGENT=$SNAP SERVICE=snap.amazon-ssm-agent.amazon-ssm-agent.service
    elif [[ $(dpkg-query -W -f='${Status}' amazon-ssm-agent 2>/dev/null) == *' installed' ]]; then
      KIND=deb
    elif rpm -q amazon-ssm-agent >/dev/null 2>&1; then
      KIND=rpm
    else
      KIND=''
      return 1
    fi
    # By its whole path: the agent looks for its configuration beside the file that was started.
    [[ $KIND == snap ]] || AGENT=$(command -v amazon-ssm-agent || printf /usr/bin/amazon-ssm-agent)
  }

  running() { detached systemctl is-active --quiet "$SERVICE"; }

  start_agent() { # start | restart; returns once the agent has been seen running, without a gap, for START_STAY
    local since='' before limit
    pass_proxy_on
    detached systemctl enable "$SERVICE" >/dev/null 2>&1 || say "could not enable $SERVICE for the next boot"
    detached systemctl "$1" "$SERVICE" || fail "$EXIT_SERVICE" "systemctl $1 $SERVICE failed; see: journalctl -u $SERVICE"
    now && limit=$((REPLY + START_WAIT))
    while :; do # an agent that cannot use its registration comes up, and ends a moment later
      now && before=$REPLY
      if ! running; then
        since=''
        ((before < limit)) || fail "$EXIT_SERVICE" "the agent does not stay up; see: journalctl -u $SERVICE"
      elif [[ -z $since ]]; then
        now && since=$REPLY
      else
        ((before - since < START_STAY)) || return 0
      fi
      sleep "$POLL"
    done
  }

  pass_proxy_on() { # a node behind a proxy needs it for the agent too; that one takes it from its unit's environment
    local name upper value lines=''
    for name in https_proxy http_proxy no_proxy; do
      upper=${name^^}
      value=${!name:-${!upper-}}
      [[ $name != no_proxy || $value == *169.254.169.254* ]] || value=${value:+$value,}169.254.169.254
      [[ $value != *[[:cntrl:]]* ]] || fail "$EXIT_USAGE" "$name holds a control character"
      value=${value//\\/\\\\} value=${value//\"/\\\"}
      [[ -z $value ]] || lines+="Environment=\"$name=${value//%/%%}\""$'\n'
    done
    [[ $lines == *http*_proxy=* ]] || return 0
    install -d -m 0755 "/etc/systemd/system/$SERVICE.d"
    printf '[Service]\n%s' "$lines" >"/etc/systemd/system/$SERVICE.d/moorings-proxy.conf"
    detached systemctl daemon-reload
  }

  # -- asking over the network -------------------------------------------------------------------------------------------

  call() { # CURL-ARGUMENT…: the only way out; -q: no file on this server may loosen it
    curl -q --silent --show-error --proto =https --tlsv1.2 --connect-timeout 10 \
      --dump-header "$WORK/headers" "$@" 2>"$WORK/trouble" 9>&-
  }

  answered() { # FUNCTION: repeats it until STATUS is final; fails once the deadline is reached
    local attempt=0 line wait
    while :; do
      : >"$WORK/headers"
      "$@" || STATUS=000 # no connection, no name, no TLS: whatever curl says may be over in a moment
      case $STATUS in 000 | 429 | 5??) ;; *) return 0 ;; esac
      wait=0
      while IFS= read -r line; do
        [[ ! ${line,,} =~ ^retry-after:\ *([0-9]{1,5})[[:space:]]*$ ]] || wait=$((10#${BASH_REMATCH[1]}))
      done <"$WORK/headers"
      pause "$attempt" "$wait" || return 1
      attempt=$((attempt + 1))
    done
  }

  trouble() { # REPLY: what was last wrong, for people
    REPLY="HTTP $STATUS"
    if [[ $STATUS == 000 ]]; then REPLY=$(<"$WORK/trouble"); fi
  }

  # -- installing the agent ----------------------------------------------------------------------------------------------

  platform() { # FAMILY (deb, rpm) and ARCH
    local line names=''
    [[ -r /etc/os-release ]] || fail "$EXIT_SYSTEM" "no /etc/os-release: cannot tell which system this is"
    while IFS= read -r line; do
      [[ ! $line =~ ^ID(_LIKE)?=(.*)$ ]] || names+=" ${BASH_REMATCH[2]//[\"\']/}"
    done </etc/os-release
    case "$names " in
      *\ debian\ * | *\ ubuntu\ *) FAMILY=deb ;;
      *\ rhel\ * | *\ fedora\ * | *\ centos\ * | *\ amzn\ * | *\ suse\ * | *\ sles\ * | *\ opensuse*) FAMILY=rpm ;;
      *) fail "$EXIT_SYSTEM" "system$names is not one of the Debian, Red Hat or SUSE family" ;;
    esac
    case $(uname -m) in
      x86_64) ARCH=amd64 ;;
      aarch64 | arm64) ARCH=arm64 ;;
      *) fail "$EXIT_SYSTEM" "only amd64 and arm64 are supported" ;;
    esac
  }

  download() { # NAME: into $WORK
    STATUS=$(call --location --max-time 300 --speed-limit 1000 --speed-time 30 \
      --output "$WORK/$1" --write-out '%{http_code}' "$BASE_URL/$1")
  }

  fetch() { # NAME
    answered download "$1" && [[ $STATUS == 200 ]] && return
    trouble
    fail "$EXIT_DOWNLOAD" "could not download $BASE_URL/$1: $REPLY"
  }

  install_agent() {
    local folder=linux file suffix=amazonaws.com
    platform
    [[ $MOORINGS_REGION != cn-* ]] || suffix=amazonaws.com.cn
    default MOORINGS_PACKAGES "https://s3.$MOORINGS_REGION.$suffix/amazon-ssm-$MOORINGS_REGION/latest"
    [[ $MOORINGS_PACKAGES =~ ^https://[^[:space:][:cntrl:]]+$ ]] ||
      fail "$EXIT_USAGE" "the package source (--packages) must be an https:// URL"
    [[ $FAMILY == rpm ]] || folder=debian
    file=amazon-ssm-agent.$FAMILY BASE_URL=${MOORINGS_PACKAGES%/}/${folder}_$ARCH
    read_signing_key
    find_verifier
    say "downloading $BASE_URL/$file"
    fetch "$file"
    if [[ $VERIFIER == rpmkeys ]]; then
      verify_by_rpm "$WORK/$file"
    else
      fetch "$file.sig"
      verify "$WORK/$file.sig" "$WORK/$file"
    fi
    install_package "$WORK/$file"
    find_agent || fail "$EXIT_INSTALL" "the package went in, but the package manager does not know an amazon-ssm-agent"
  }

  read_signing_key() { # keyring, and ARMOURED and ENCODED, of each block; here, so that only base64 is needed
    local line part='' body='' block='' broken=''
    ARMOURED=() ENCODED=()
    [[ -n $MOORINGS_SIGNING_KEY ]] ||
      fail "$EXIT_USAGE" "no signing key: set [bootstrap] signing_key in the configuration, or --signing-key-file"
    while IFS= read -r line; do
      line=${line%$'\r'}
      block+=$line$'\n'
      case $part:$line in
        *:'-----BEGIN PGP PUBLIC KEY BLOCK-----') part=headers block=$line$'\n' ;;
        *:'-----END PGP PUBLIC KEY BLOCK-----') # there may be several: the old key and the new one
          printf '%s' "$body" | base64 -d >>"$WORK/keyring" 2>/dev/null || broken=yes
          ARMOURED+=("$block") ENCODED+=("$body")
          part='' body=''
          ;;
        headers:) part=body ;;
        body:=*) ;; # the checksum; the signature says more
        body:*) body+=$line$'\n' ;;
      esac
    done <<<"$MOORINGS_SIGNING_KEY"
    if [[ -n $broken$body || ! -s $WORK/keyring ]]; then
      fail "$EXIT_USAGE" "the signing key is not an armoured OpenPGP public key"
    fi
  }

  find_verifier() { # VERIFIER: gpgv where there is one, else what the system's family has or gives
    for VERIFIER in gpgv gpgv2 gpg none; do ! command -v "$VERIFIER" >/dev/null || break; done
    case $VERIFIER:$FAMILY in
      none:deb)
        install_gpgv || fail "$EXIT_TOOL" "gpgv is missing, and apt-get did not bring it ($REPLY): install gpgv"
        VERIFIER=gpgv
        ;;
      none:rpm)
        command -v rpmkeys >/dev/null || fail "$EXIT_TOOL" "gpgv and rpmkeys are missing: $NEED_GPGV"
        VERIFIER=rpmkeys
        ;;
    esac
  }

  install_gpgv() { # Debian 13 verifies its own packages otherwise; fails with the reason in REPLY
    local how=(install --yes --no-install-recommends --no-remove gpgv) said=''
    REPLY='there is no apt-get'
    command -v apt-get >/dev/null || return 1
    say "installing gpgv, which checks the package's signature"
    # At first boot the lists may be old, or none.
    apt_get "${how[@]}" || { apt_get update && apt_get "${how[@]}"; } || said="apt-get failed: $SAID"
    last_words "${said:-gpgv is still not there}"
    command -v gpgv >/dev/null
  }

  apt_get() { # ARGUMENT…: SAID; asks nothing, waits for a lock at most until the deadline
    now
    local left=$(((DEADLINE - REPLY) / 1000))
    ((left > 0)) || left=0
    SAID=$(umask 022 && DEBIAN_FRONTEND=noninteractive detached apt-get -qq -o "DPkg::Lock::Timeout=$left" \
      -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@" 2>&1)
  }

  verify() { # SIGNATURE FILE: a good signature, now valid, by the given key and no other; an exit code alone is no proof
    local said='' how=(--)
    [[ $VERIFIER != gpg ]] ||
      how=(--batch --no-default-keyring --trust-model always --no-auto-check-trustdb --verify)
    mkdir -m 0700 "$WORK/gnupg"
    how=("$VERIFIER" --homedir "$WORK/gnupg" --keyring "$WORK/keyring" --status-fd 1 "${how[@]}" "$1" "$2")
    said=$(detached "${how[@]}" 2>/dev/null) || said+=$'\nfailed'
    case $said in
      *' EXPKEYSIG '*) fail "$EXIT_SIGNATURE" "the signing key has expired: set the publisher's current one" ;;
      *' EXPSIG '* | *' REVKEYSIG '* | *' BADSIG '* | *' ERRSIG '* | *$'\nfailed') ;;
      *'[GNUPG:] GOODSIG '*'[GNUPG:] VALIDSIG '*) return 0 ;;
    esac
    fail "$EXIT_SIGNATURE" "${2##*/} is not signed by the given key; nothing was installed"
  }

  # Where there is no gpgv, rpm checks the signature that the package carries within itself.

  verify_by_rpm() { # FILE: what verify() asks for, of a signature over the header and all the rest
    local i=0 taken=''
    mkdir -m 0700 "$WORK/rpm"
    # First without a key: is there a signature, and does this rpm believe nobody but us?
    rpm_says --checksig --verbose "$1" || true
    weigh "$1"
    [[ -z $BY_US ]] || fail "$EXIT_TOOL" "this rpm trusts other keys than the given one: $NEED_GPGV"
    [[ -n $BY_OTHERS || -n $WRONG || -z $DIGESTS ]] || fail "$EXIT_TOOL" "${1##*/} carries no signature within: $NEED_GPGV"
    for i in "${!ARMOURED[@]}"; do
      alive "${ENCODED[i]}" || continue
      printf '%s' "${ARMOURED[i]}" >"$WORK/rpm.asc"
      rpm_says --import "$WORK/rpm.asc" || fail "$EXIT_TOOL" "rpm does not take the signing key: $NEED_GPGV"
      taken=yes
    done
    [[ -n $taken ]] || fail "$EXIT_SIGNATURE" "the signing key has expired or was revoked: set the publisher's current one"
    if rpm_says --checksig --verbose "$1"; then
      weigh "$1"
      [[ -n $WRONG$BY_OTHERS || $BY_US != *all* && $BY_US$DIGESTS != *header*payload* ]] || return 0
    fi
    fail "$EXIT_SIGNATURE" "${1##*/} is not signed by the given key, says rpm; nothing was installed"
  }

  rpm_says() { # ARGUMENT…: SAID, by an rpm with a database of our own, and with no leave to do without signature or digest
    SAID=$(detached rpmkeys --define "_dbpath $WORK/rpm" --define "_keyringpath $WORK/rpm/pubkeys" \
      --define '_pkgverify_level all' --define '_pkgverify_flags 0x0' "$@" 2>"$WORK/trouble")
  }

  weigh() { # FILE: BY_US (header, all), BY_OTHERS, DIGESTS and WRONG, out of what rpm SAID of it, line by line
    local line
    local signature='^ +[A-Za-z0-9/ ]*[Ss]ignature, key (ID|fingerprint:) [0-9a-f]{8,64}: (OK|NOKEY)$'
    local digest='^ +[A-Za-z0-9 ]+ digest: OK( \([0-9a-f]+\))?$' absent='^ +[A-Za-z0-9 ]+: NOTFOUND$'
    BY_US='' BY_OTHERS='' DIGESTS='' WRONG=''
    while IFS= read -r line; do
      if [[ $line =~ $signature ]]; then
        case $line in
          *NOKEY) BY_OTHERS=yes ;;
          *' Header '*) BY_US+=' header' ;;
          *) BY_US+=' all' ;; # header and payload
        esac
      elif [[ $line =~ $digest ]]; then
        DIGESTS+=" ${line%% digest: OK*}"
        DIGESTS=${DIGESTS//Payload/payload}
      elif [[ ! $line =~ $absent && -n $line && $line != "$1:" ]]; then
        WRONG=yes
      fi
    done <<<"$SAID"
  }

  alive() { # BASE64: whether all OpenPGP keys in it are valid today; most rpms do not ask
    local -a b=()
    local at=0 kind made=0 newest=0 ends=0 today=0
    read -r -d '' -a b <<<"$(printf '%s' "$1" | base64 -d | od -An -v -tu1)" || true
    today=$(date +%s)
    while ((at < ${#b[@]})); do
      if (((b[at] & 192) == 192 && (b[at + 1] < 224 || b[at + 1] == 255))); then
        kind=$((b[at] & 63))
        sized $((at + 1))
      else
        (((b[at] & 192) == 128 && (b[at] & 3) < 3)) || return 1 # no packet of known size
        kind=$((b[at] >> 2 & 15))
        number $((at + 1)) $((1 << (b[at] & 3)))
        SIZE=$REPLY BODY=$((at + 1 + (1 << (b[at] & 3))))
      fi
      case $kind in
        6 | 14) # a key or subkey; the one before is settled
          ((b[BODY] == 4 && (ends == 0 || ends > today))) || return 1
          number $((BODY + 1)) 4
          made=$REPLY newest=0 ends=0
          ;;
        2) self_signature $((BODY + SIZE)) || return 1 ;;
      esac
      at=$((BODY + SIZE))
    done
    ((made && at == ${#b[@]} && (ends == 0 || ends > today)))
  }

  self_signature() { # END: what the newest says of its key's end counts; fails if the key is revoked
    local end=$1 at stamp=0 life=0 own=''
    [[ ${b[BODY]} == 4 ]] || return 0
    case ${b[BODY + 1]} in
      32 | 40) return 1 ;;
      16 | 17 | 18 | 19 | 24 | 31) ;;
      *) return 0 ;;
    esac
    number $((BODY + 4)) 2
    at=$((BODY + 6))
    ((at + REPLY > end)) || end=$((at + REPLY)) # the signed part alone
    local SIZE BODY
    while ((at < end)); do
      sized "$at"
      number $((BODY + 1)) 4
      case $((${b[BODY]:-0} & 127)) in
        2) stamp=$REPLY ;;
        9) life=$REPLY own=yes ;;
        27) own=yes ;; # what the key may do: only its owner says so
      esac
      at=$((BODY + SIZE))
    done
    [[ -z $own ]] || ((stamp < newest)) || newest=$stamp ends=$((life ? made + life : 0))
  }

  sized() { # AT: SIZE, and BODY, where it begins, of what has its length there
    local first=${b[$1]:-0}
    if ((first < 192)); then
      SIZE=$first BODY=$(($1 + 1))
    elif ((first < 255)); then
      SIZE=$(((first - 192) * 256 + ${b[$1 + 1]:-0} + 192)) BODY=$(($1 + 2))
    else
      number $(($1 + 1)) 4
      SIZE=$REPLY BODY=$(($1 + 5))
    fi
  }

  number() { # AT COUNT: REPLY, of so many bytes
    local i
    REPLY=0
    for ((i = $1; i < $1 + $2; i++)); do REPLY=$((REPLY * 256 + ${b[i]:-0})); done
  }

  install_package() { # FILE
    local attempt=0 said='' how=(dpkg --force-confdef --force-confold -i)
    # The signature is checked; newer rpm would ask for the key in its own store as well.
    [[ $FAMILY == deb ]] || how=(rpm -U --nosignature)
    while ! said=$(umask 022 && DEBIAN_FRONTEND=noninteractive detached "${how[@]}" "$1" 2>&1); do
      last_words "$said"
      # At first boot something else is often installing too.
      [[ $said == *lock* ]] || fail "$EXIT_INSTALL" "${how[0]} failed: $REPLY"
      pause "$attempt" 1 || fail "$EXIT_INSTALL" "${how[0]} found its lock taken until the deadline: $REPLY"
      attempt=$((attempt + 1))
    done
  }

  # -- enrolment: all of it runs untraced --------------------------------------------------------------------------------

  load_key() { # KEY and NODE_BEFORE, from the run that was cut short or new; the same key is granted the same activation
    local pattern='^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}) (mi-[0-9A-Za-z]+|none)$' line=''
    [[ ! -r $KEY_FILE ]] || line=$(<"$KEY_FILE")
    if [[ $line =~ $pattern ]]; then
      KEY=${BASH_REMATCH[1]} NODE_BEFORE=${BASH_REMATCH[3]}
    else
      new_key
    fi
  }

  new_key() {
    node_id && NODE_BEFORE=${REPLY:-none}
    KEY=$(</proc/sys/kernel/random/uuid)
    printf '%s %s\n' "$KEY" "$NODE_BEFORE" >"$KEY_FILE.new"
    mv -f "$KEY_FILE.new" "$KEY_FILE"
  }

  request_body() { # BODY
    local name machine=''
    name=$(uname -n) && name=${name//[^A-Za-z0-9._-]/}
    [[ ! -r /etc/machine-id ]] || machine=$(</etc/machine-id)
    if [[ $machine =~ ^[0-9a-f]{32}$ ]]; then
      # As machine-id(5) asks: not the id itself leaves the machine, but one derived from it.
      machine=$(printf 'moorings:%s' "$machine" | sha256sum) && machine=",\"machine_id\":\"${machine:0:32}\""
    else
      machine=''
      say "this server has no /etc/machine-id: its fingerprint looks like that of others without one"
    fi
    BODY="{\"key\":\"$KEY\",\"node\":{\"name\":\"${name:0:64}\"$machine}${MOORINGS_POOL:+,\"pool\":\"$MOORINGS_POOL\"}}"
  }

  post() {
    local answer
    answer=$(printf '%s' "$BODY" 2>/dev/null | call --max-time 35 --max-filesize "$LARGEST_ANSWER" \
      --header 'Content-Type: application/json' --data-binary @- --write-out '\n%{http_code}' \
      "${MOORINGS_URL%/}/activations") || return 1
    STATUS=${answer##*$'\n'} ANSWER=${answer%$'\n'*}
  }

  ask() { # ANSWER
    request_body
    if ! answered post; then
      trouble
      fail "$EXIT_BUSY" "no activation within $MOORINGS_DEADLINE s, last: $REPLY; run this again later, the same grant is kept"
    fi
    case $STATUS in
      200 | 201) ;;
      403) fail "$EXIT_REFUSED" "refused (403) by ${MOORINGS_URL%/}: no rule lets this server in, or not into this pool" ;;
      4??) fail "$EXIT_REJECTED" "the enrolment API rejected the request: HTTP $STATUS" ;;
      *) fail "$EXIT_ANSWER" "unexpected answer from ${MOORINGS_URL%/}: HTTP $STATUS" ;;
    esac
  }

  member() { # NAME PATTERN: REPLY becomes that text of ANSWER; a name that occurs twice, or any other character, is refused
    local rest=${ANSWER#*\""$1"\"}
    [[ $rest != *\""$1"\"* && $rest =~ ^[[:space:]]*:[[:space:]]*\"($2)\"[[:space:]]*[,}] ]] ||
      fail "$EXIT_ANSWER" "the answer of ${MOORINGS_URL%/} holds no proper $1"
    REPLY=${BASH_REMATCH[1]}
  }

  register() { # VERDICT: done, anew (this activation is of no use), again (later), no; SAID: the agent's words
    local id code said
    member ActivationId '[0-9A-Za-z-]{36}' && id=$REPLY
    member ActivationCode '[0-9A-Za-z+/=][0-9A-Za-z+/=_-]{19,249}' && code=$REPLY
    member Region '[a-z][a-z0-9-]{4,31}' && MOORINGS_REGION=$REPLY
    VERDICT=no
    # Killed now, we leave the agent the lock: it is seconds from done, and the next run must not register beside it.
    said=$("$AGENT" -register -code "$code" -id "$id" -region "$MOORINGS_REGION" -y 2>&1 </dev/null) && VERDICT='done'
    said=${said//"$code"/(code)}
    last_words "$said" && SAID=$REPLY
    case $VERDICT:$said in
      done:*)
        node_id
        [[ -n $REPLY ]] || fail "$EXIT_REGISTRATION" "the agent reported success, but holds no registration"
        ;;
      *RegistrationLimitExceeded* | *ActivationExpired* | *InvalidActivation*) VERDICT=anew ;;
      *RequestError* | *Throttl* | *TooMany* | *InternalServerError* | *ServiceUnavailable*) VERDICT=again ;;
    esac
  }

  enrol() {
    local attempt=0 tries=1
    load_key
    node_id
    # Forced, registered anew, then cut short: done but for the start.
    [[ -z $REPLY || $REPLY == "$NODE_BEFORE" ]] || return 0
    while :; do
      ask
      register
      case $VERDICT in
        done) return 0 ;;
        again) ;;
        anew)
          ((tries < REGISTRATION_TRIES)) || fail "$EXIT_REGISTRATION" "registration failed with $tries activations: $SAID"
          tries=$((tries + 1))
          new_key
          ;;
        *) fail "$EXIT_REGISTRATION" "registration failed: $SAID" ;;
      esac
      pause "$attempt" 0 || fail "$EXIT_REGISTRATION" "registration failed until the deadline: $SAID"
      attempt=$((attempt + 1))
    done
  }

  # -- the three ways through --------------------------------------------------------------------------------------------

  keep() { # registered already: nothing is asked; a run cut short before the start is finished
    if ! running || [[ -e $KEY_FILE ]]; then start_agent restart; fi
    rm -f "$KEY_FILE"
    node_id
    printf '%s is registered already; the agent runs\n' "$REPLY"
  }

  check_settings() {
    [[ $MOORINGS_URL =~ ^https://[^[:space:][:cntrl:]\"\\]+$ ]] ||
      fail "$EXIT_USAGE" "the enrolment API's URL must be given (--url), and start with https://"
    [[ $MOORINGS_REGION =~ ^[a-z][a-z0-9-]{4,31}$ ]] || fail "$EXIT_USAGE" "the Region must be given (--region)"
    [[ $MOORINGS_POOL =~ ^([a-z0-9][a-z0-9-]{0,31})?$ ]] ||
      fail "$EXIT_USAGE" "a pool's name has lower-case letters, digits and dashes only"
    command -v curl >/dev/null || fail "$EXIT_TOOL" "curl is missing: install it"
  }

  set_up() {
    check_settings
    find_agent || install_agent
    node_id
    if [[ -n $REPLY && -z $FORCE ]]; then # the package was gone, the registration was not
      keep
      return
    fi
    untraced enrol
    start_agent restart
    rm -f "$KEY_FILE"
    node_id
    printf '%s is registered in %s%s; the agent runs\n' "$REPLY" "$MOORINGS_REGION" "${MOORINGS_POOL:+, pool $MOORINGS_POOL}"
  }

  uninstall() {
    local id failed=''
    node_id && id=$REPLY
    if [[ -z $id && -r $DATA/registration && $(<"$DATA/registration") =~ \"(mi-[0-9A-Za-z]{1,64})\" ]]; then
      id=${BASH_REMATCH[1]}
    fi
    if find_agent; then
      detached systemctl stop "$SERVICE" || say "could not stop $SERVICE"
      detached systemctl disable "$SERVICE" >/dev/null 2>&1 || say "could not disable $SERVICE"
      detached "$AGENT" -register -clear >/dev/null 2>&1 || say "the agent did not clear its registration; its files go anyway"
      case $KIND in
        deb) detached dpkg --purge amazon-ssm-agent >&2 || failed=dpkg ;;
        rpm) detached rpm -e amazon-ssm-agent >&2 || failed=rpm ;;
        snap) say "the agent is a snap and stays: snap remove --purge amazon-ssm-agent" ;;
      esac
    fi
    [[ -z $failed ]] || fail "$EXIT_UNINSTALL" "$failed could not remove amazon-ssm-agent; mend that, then --uninstall again"
    [[ -z $id ]] || printf 'still in Systems Manager; where you have the rights, run: moorings nodes deregister %s\n' "$id"
    rm -f "/etc/systemd/system/$SERVICE.d/moorings-proxy.conf"
    rm -rf "$DATA/Vault" "$DATA/registration" "$STATE"
    say "removed from this server"
  }

  set -Eeuo pipefail
  umask 077
  export LC_ALL=C
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  trap 'fail "$EXIT_UNEXPECTED" "unexpected failure in line $LINENO; please report it"' ERR
  trap 'exit 130' INT
  trap 'exit 143' TERM
  settings
  options "$@"
  clocks
  prepare
  node_id
  if [[ -n $UNINSTALL ]]; then
    uninstall
  elif [[ -n $REPLY && -z $FORCE ]] && find_agent; then
    keep
  else
    set_up
  fi
}

{ moorings_bootstrap "$@"; exit; }
