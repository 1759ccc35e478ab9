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
Tuning, in seconds: MOORINGS_DEADLINE MOORINGS_RETRY_BASE MOORINGS_RETRY_CAP MOORINGS_START_WAIT MOORINGS_START_POLL
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
    milliseconds MOORINGS_START_POLL && POLL=$MOORINGS_START_POLL
    milliseconds MOORINGS_DEADLINE && DEADLINE=$REPLY
    now && DEADLINE=$((DEADLINE + REPLY))
  }

  pause() { # ATTEMPT SECONDS: sleeps that long plus a random part that grows; fails, unslept, if that passes the deadline
    local ceiling=$((BASE << ($1 < 10 ? $1 : 10))) delay
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

  start_agent() { # start | restart; returns once the agent has been seen running twice
    local seen=0 limit
    pass_proxy_on
    detached systemctl enable "$SERVICE" >/dev/null 2>&1 || say "could not enable $SERVICE for the next boot"
    detached systemctl "$1" "$SERVICE" || fail "$EXIT_SERVICE" "systemctl $1 $SERVICE failed; see: journalctl -u $SERVICE"
    now && limit=$((REPLY + START_WAIT))
    while :; do # an agent that cannot use its registration ends at once
      if running; then seen=$((seen + 1)); else seen=0; fi
      ((seen < 2)) || return 0
      now
      ((REPLY < limit)) || fail "$EXIT_SERVICE" "the agent does not stay up; see: journalctl -u $SERVICE"
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
    say "downloading $BASE_URL/$file"
    fetch "$file"
    fetch "$file.sig"
    verify "$WORK/$file.sig" "$WORK/$file"
    install_package "$WORK/$file"
    find_agent || fail "$EXIT_INSTALL" "the package went in, but the package manager does not know an amazon-ssm-agent"
  }

  read_signing_key() { # makes the keyring out of the armoured text; here, so that only base64 is needed
    local line part='' body='' broken=''
    [[ -n $MOORINGS_SIGNING_KEY ]] ||
      fail "$EXIT_USAGE" "no signing key: set [bootstrap] signing_key in the configuration, or --signing-key-file"
    while IFS= read -r line; do
      line=${line%$'\r'}
      case $part:$line in
        *:'-----BEGIN PGP PUBLIC KEY BLOCK-----') part=headers ;;
        *:'-----END PGP PUBLIC KEY BLOCK-----') # there may be several: the old key and the new one
          printf '%s' "$body" | base64 -d >>"$WORK/keyring" 2>/dev/null || broken=yes
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

  verify() { # SIGNATURE FILE: a good signature, now valid, by the given key and no other; an exit code alone is no proof
    local said='' tool='' how=(--)
    for tool in gpgv gpgv2 gpg none; do ! command -v "$tool" >/dev/null || break; done
    case $tool in
      none) fail "$EXIT_TOOL" "gpgv is missing: install gpgv (Debian, Ubuntu), gnupg2 (Red Hat) or gpg2 (SUSE)" ;;
      gpg) how=(--batch --no-default-keyring --trust-model always --no-auto-check-trustdb --verify) ;;
    esac
    mkdir -m 0700 "$WORK/gnupg"
    how=("$tool" --homedir "$WORK/gnupg" --keyring "$WORK/keyring" --status-fd 1 "${how[@]}" "$1" "$2")
    said=$(detached "${how[@]}" 2>/dev/null) || said+=$'\nfailed'
    case $said in
      *' EXPKEYSIG '*) fail "$EXIT_SIGNATURE" "the signing key has expired: set the publisher's current one" ;;
      *' EXPSIG '* | *' REVKEYSIG '* | *' BADSIG '* | *' ERRSIG '* | *$'\nfailed') ;;
      *'[GNUPG:] GOODSIG '*'[GNUPG:] VALIDSIG '*) return 0 ;;
    esac
    fail "$EXIT_SIGNATURE" "${2##*/} is not signed by the given key; nothing was installed"
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
