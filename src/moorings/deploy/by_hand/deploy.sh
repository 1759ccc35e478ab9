#!/bin/sh
# Deploys what lies beside this script with the plain AWS CLI; README.txt shows the same steps for the console.
#
#   ./deploy.sh enrolment NAME=VALUE...    ./deploy.sh patching NAME=VALUE...
#
# NAME is a parameter of the half's templates. STACK (name of the stack) and BUCKET (an artifact bucket of your own) may
# be set in the environment. To change something, or to finish what was interrupted, run it again: parameters that are
# not given keep their values.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")"
# shellcheck source-path=SCRIPTDIR
. ./common.sh

usage() { fail "say: ./deploy.sh enrolment|patching NAME=VALUE..."; }
[ $# -gt 0 ] || usage
half=$1
shift
case $half in
  enrolment) functions=@ENROLMENT_ZIP@ ;;
  patching) functions=@PATCHING_ZIP@ layer=@LAYER_ZIP@ runbook=@RUNBOOK@ ;;
  *) usage ;;
esac
[ -d "$half" ] || fail "this folder was exported without $half"
name_stack "$half"

takes() {  # TEMPLATE NAME: the AWS CLI would pass over a name that is none
  sed -n '/^Parameters:/,/^[A-Z]/s/^  \([A-Za-z]*\):.*/\1/p' "$half/$1" 2>/dev/null | grep -Fqx -- "$2"
}

# What belongs to the endpoint's template goes there, the rest to the stack's.
new_endpoint='' endpoint='' logs='' stage='' style='' hosts=''
left=$#
while [ "$left" -gt 0 ]; do
  given=$1 name=${1%%=*} left=$((left - 1))
  shift
  case $given in [A-Z]*=*) ;; *) fail "$given: write NAME=VALUE" ;; esac
  if takes endpoint.yaml "$name"; then
    new_endpoint="$new_endpoint $given"
    [ "$given" != PrivateDns=no ] || hosts='endpoint-host'  # the only name that resolves then
    continue
  fi
  takes stack.yaml "$name" || fail "$name: no parameter of $half"
  case $name in
    ArtifactBucket | ArtifactKey | RunbookKey | LambdaLayerS3Bucket | LambdaLayerS3Key | Architecture)
      fail "$name: this script fills that in" ;;
    VpcEndpointForApiGateway) endpoint=${given#*=}; continue ;;
    CloudwatchLogRoleArn | CreateApiGatewayLoggingRole) logs=given ;;
    ApiGatewayStageName) stage=$given ;;
    InvokeUrlStyle) style=given ;;
  esac
  set -- "$@" "$given"
done

look_around
bucket=${BUCKET:-$own_bucket}
partition=$(aws sts get-caller-identity --query Arn --output text | cut -d : -f 2)

ensure_bucket() {  # versioned last, which tells a finished bucket from one that an interrupted run had begun
  if there_is_bucket "$bucket"; then
    [ -z "${BUCKET:-}" ] || return 0
    state=$(aws s3api get-bucket-versioning --bucket "$bucket" --query Status --output text)
    [ "$state" != Enabled ] || return 0
  else
    [ -z "${BUCKET:-}" ] || fail "there is no bucket $bucket of this account"
    tell "making bucket $bucket"
    if [ "$region" = us-east-1 ]; then  # the one Region that must not be named
      aws s3api create-bucket --bucket "$bucket" >/dev/null
    else
      aws s3api create-bucket --bucket "$bucket" --create-bucket-configuration "LocationConstraint=$region" >/dev/null
    fi
  fi
  aws s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  aws s3api put-bucket-encryption --bucket "$bucket" --server-side-encryption-configuration \
    '{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}'
  aws s3api put-bucket-policy --bucket "$bucket" --policy '{"Version": "2012-10-17", "Statement": [{"Sid":
    "NothingUnencrypted", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource":
    ["arn:'"$partition:s3:::$bucket"'", "arn:'"$partition:s3:::$bucket"'/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
  aws s3api put-bucket-tagging --bucket "$bucket" --tagging '{"TagSet": [{"Key": "application", "Value": "moorings"}]}'
  aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
}

upload() {  # FILE: its name says what is in it, so it is uploaded once
  if aws s3api head-object --bucket "$bucket" --key "$stack/$1" --expected-bucket-owner "$account" >/dev/null 2>&1; then
    return
  fi
  tell "uploading $half/$1"
  aws s3api put-object --bucket "$bucket" --key "$stack/$1" --body "$half/$1" --expected-bucket-owner "$account" \
    >/dev/null
}

settle() {  # NAME: waits until nothing goes on with a stack, as after an interruption, and sets status
  status=$(status_of "$1") told=''
  until case $status in REVIEW_IN_PROGRESS) ;; *_IN_PROGRESS) false ;; esac; do  # under review is no more than a plan
    [ "$status" = "$told" ] || tell "waiting for stack $1, $status"
    told=$status
    sleep 5
    status=$(status_of "$1")
  done
}

make_stack() {  # NAME TEMPLATE NAME=VALUE...: makes or changes a stack through a change set, and waits
  name=$1 template=$2
  shift 2
  settle "$name"
  case $status in
    ROLLBACK_COMPLETE | ROLLBACK_FAILED | CREATE_FAILED)  # it holds nothing, and cannot be updated
      tell "deleting stack $name, whose creation failed"
      aws cloudformation delete-stack --stack-name "$name"
      aws cloudformation wait stack-delete-complete --stack-name "$name" ;;
  esac
  # An update would take away tags that are not given again.
  tags=$(described "$name" \
    "not_null(Tags, \`[]\`)[?Key != 'application' && !starts_with(Key, 'aws:')].[join('=', [Key, Value])]")
  event=$(last_event "$name")
  tell "deploying stack $name"
  before=$IFS
  IFS='
'
  set -f
  # shellcheck disable=SC2086  # one tag a line
  aws cloudformation deploy --stack-name "$name" --template-file "$template" --capabilities CAPABILITY_IAM \
    --no-fail-on-empty-changeset --tags application=moorings $tags --parameter-overrides "$@" >&2 ||
    explain "$name" "$event"
  set +f
  IFS=$before
}

ensure_bucket
upload "$functions"
if [ "$half" = patching ]; then
  upload "$layer"
  upload "$runbook"
  make_stack "$stack" patching/stack.yaml "$@" "ArtifactBucket=$bucket" "ArtifactKey=$stack/$functions" \
    "RunbookKey=$stack/$runbook" "LambdaLayerS3Bucket=$bucket" "LambdaLayerS3Key=$stack/$layer" \
    Architecture=@ARCHITECTURE@
else
  if [ -n "$new_endpoint" ]; then
    [ -z "$endpoint" ] || fail "VpcEndpointForApiGateway names an endpoint, $new_endpoint make one: give one or the other"
    # shellcheck disable=SC2086  # several parameters, none of which can hold a blank
    make_stack "$stack-endpoint" enrolment/endpoint.yaml $new_endpoint
    endpoint=$(output_of "$stack-endpoint" VpcEndpoint)
    [ -z "$hosts" ] || [ -n "$style" ] || set -- "$@" "InvokeUrlStyle=$hosts"
  fi
  [ -z "$endpoint" ] || set -- "$@" "VpcEndpointForApiGateway=$endpoint"
  if [ -z "$logs" ]; then  # where the account lets API Gateway log already, the API logs
    role=$(aws apigateway get-account --query cloudwatchRoleArn --output text)
    [ "$role" = None ] || set -- "$@" "CloudwatchLogRoleArn=$role"
  fi
  # An API takes on what changed in it only with a deployment of another name.
  mark=$(printf '%s\n' "$endpoint" "$stage" | cat enrolment/stack.yaml - | cksum | cut -d ' ' -f 1)
  named=$(mktemp)
  trap 'rm -f "$named"' EXIT
  trap 'exit 130' INT TERM  # not every shell would come by the line above
  sed "s/ApiDeployment[0-9a-f]\{8\}/ApiDeployment$(printf %08x "$mark")/" enrolment/stack.yaml >"$named"
  make_stack "$stack" "$named" "$@" "ArtifactBucket=$bucket" "ArtifactKey=$stack/$functions" \
    Architecture=@ARCHITECTURE@
fi
described "$stack" 'Outputs[].[OutputKey,OutputValue]'
