# shellcheck shell=sh
# What deploy.sh and remove.sh share. They read it; by itself it does nothing.

tell() { printf '%s\n' "$*" >&2; }
fail() { tell "${0##*/}: $1"; exit "${2:-2}"; }

name_stack() {  # HALF: sets stack
  stack=${STACK:-moorings-$1}
  case $stack in [!A-Za-z]* | *[!A-Za-z0-9-]*) fail "$stack: no name of a stack" ;; esac
}

look_around() {  # sets region, account and own_bucket, from what the AWS CLI itself goes by
  command -v aws >/dev/null || fail "there is no aws on PATH: install the AWS CLI"
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
  [ -n "$region" ] || fail "no Region is set: set AWS_REGION"
  export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" AWS_PAGER=''
  account=$(aws sts get-caller-identity --query Account --output text)
  # shellcheck disable=SC2034  # the scripts go by it
  own_bucket=moorings-artifacts-$account-$region
}

there_is_bucket() {  # BUCKET: any trouble but that there is none ends the script
  trouble=$(aws s3api head-bucket --bucket "$1" --expected-bucket-owner "$account" 2>&1 >/dev/null) && return
  case $trouble in
    *404*) return 1 ;;
    *) fail "bucket $1: $trouble" 5 ;;
  esac
}

described() {  # STACK QUERY: nothing if there is no such stack; any other trouble is no answer, and ends the script
  until aws cloudformation describe-stacks --stack-name "$1" --query "Stacks[0].$2" --output text 2>/dev/null; do
    trouble=$(aws cloudformation describe-stacks --stack-name "$1" 2>&1 >/dev/null) && continue
    case $trouble in
      *"does not exist"*) return 0 ;;
      *) fail "$trouble" 5 ;;
    esac
  done
}
status_of() { described "$1" StackStatus; }
output_of() { described "$1" "not_null(Outputs, \`[]\`)[?OutputKey=='$2'].OutputValue"; }
parameter_of() { described "$1" "not_null(Parameters, \`[]\`)[?ParameterKey=='$2'].ParameterValue"; }

last_event() {  # STACK: nothing if it has none yet
  aws cloudformation describe-stack-events --stack-name "$1" --max-items 1 --query 'StackEvents[0].EventId' \
    --output text 2>/dev/null | head -n 1
}

explain() {  # STACK EVENT: ends the script with what failed since that event; the last line is the first cause
  causes=$(aws cloudformation describe-stack-events --stack-name "$1" --output text --max-items 200 \
    --query 'StackEvents[].[EventId,LogicalResourceId,ResourceStatus,ResourceStatusReason]' 2>/dev/null |
    awk -F '\t' -v last="$2" '$1 == last { before = 1 } !before && $3 ~ /_FAILED$/ { print "  " $2 ": " $4 }')
  [ -n "$causes" ] || fail "stack $1 is as it was: AWS did not begin, for the reason above" 5
  fail "stack $1 failed, the first cause comes last:
$causes" 5
}
