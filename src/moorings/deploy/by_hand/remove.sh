#!/bin/sh
# Removes with the plain AWS CLI what deploy.sh, the console or `moorings` made, and says what stays.
#
#   ./remove.sh enrolment    ./remove.sh patching
#
# STACK (name of the stack) may be set in the environment, and BUCKET (an artifact bucket of your own), which the stack
# knows while it stands. It asks nothing. To finish what was interrupted, run it again.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")"
# shellcheck source-path=SCRIPTDIR
. ./common.sh

half=${1:-}
case $half in
  enrolment | patching) ;;
  *) fail "say: ./remove.sh enrolment|patching" ;;
esac
name_stack "$half"
look_around
used=$(parameter_of "$stack" ArtifactBucket)
bucket=${BUCKET:-${used:-$own_bucket}}

delete_stack() {  # NAME
  status=$(status_of "$1")
  [ -n "$status" ] || return 0
  event=$(last_event "$1")
  tell "deleting stack $1"
  aws cloudformation delete-stack --stack-name "$1"
  aws cloudformation wait stack-delete-complete --stack-name "$1" || explain "$1" "$event"
}

refuse_while_running() {  # without function and keeper nobody would start a VM again that a run has stopped
  runbook=$(output_of "$stack" AWSSystemsManagerAutomationRunbookName)
  table=$(output_of "$stack" GuardTable)
  [ -n "$runbook" ] || return 0
  running=$(aws ssm describe-automation-executions --output text \
    --filters "Key=DocumentNamePrefix,Values=$runbook" \
      Key=ExecutionStatus,Values=Pending,InProgress,Waiting,Cancelling \
    --query "AutomationExecutionMetadataList[?DocumentName=='$runbook'].[AutomationExecutionId]")
  [ -z "$running" ] || fail "runs of $runbook are going on: $(printf '%s' "$running" | tr '\n' ' ')" 3
  restoring=$(aws dynamodb scan --table-name "$table" --output text --filter-expression 'contains(#body, :phase)' \
    --expression-attribute-names '{"#body": "body"}' \
    --expression-attribute-values '{":phase": {"S": "\"phase\":\"restoring\""}}' --query 'Items[].[pk.S]')
  [ -z "$restoring" ] || fail "VMs are being put back: $(printf '%s' "$restoring" | tr '\n' ' ')" 3
}

delete_endpoint() {  # unless another API is reached through it
  vpce=$(output_of "$stack-endpoint" VpcEndpoint)
  [ -n "$vpce" ] || return 0
  users=$(aws apigateway get-rest-apis --output text \
    --query "items[?contains(not_null(endpointConfiguration.vpcEndpointIds, \`[]\`), '$vpce')].[name]")
  if [ -n "$users" ]; then
    tell "kept: stack $stack-endpoint, because $users is reached through it; run this again after that"
  else
    delete_stack "$stack-endpoint"
  fi
}

delete_activations() {
  tell "deleting activations and their codes"
  listed=$(aws ssm describe-activations --output text \
    --query "ActivationList[?starts_with(not_null(Description, ''), 'moorings stack=$stack-')].[ActivationId,Description]")
  printf '%s\n' "$listed" | grep -E "moorings stack=$stack-[0-9a-f]{8} " | cut -f 1 |
    while read -r id; do aws ssm delete-activation --activation-id "$id"; done
  listed=$(aws ssm describe-parameters --parameter-filters "Key=Name,Option=BeginsWith,Values=/moorings/$stack-" \
    --output text --query 'Parameters[].[Name]')
  printf '%s\n' "$listed" | grep -E "^/moorings/$stack-[0-9a-f]{8}/[^/]+\$" |
    while read -r name; do aws ssm delete-parameter --name "$name"; done
}

versions() {  # PREFIX: keys and versions, tab between them
  listed=$(aws s3api list-object-versions --bucket "$bucket" --prefix "$1" --output text \
    --query '[Versions, DeleteMarkers][][].[Key,VersionId]') || return
  printf '%s\n' "$listed" | grep -vE '^(None)?$' || true
}

delete_artifacts() {
  there_is_bucket "$bucket" || return 0
  tell "deleting $bucket/$stack/"
  found=$(versions "$stack/")
  [ -z "$found" ] || printf '%s\n' "$found" | while IFS='	' read -r key version; do
    aws s3api delete-object --bucket "$bucket" --key "$key" --version-id "$version" \
      --expected-bucket-owner "$account" >/dev/null
  done
  [ "$bucket" = "$own_bucket" ] || return 0
  found=$(versions '')
  [ -n "$found" ] || aws s3api delete-bucket --bucket "$bucket" --expected-bucket-owner "$account"
}

protected=$(parameter_of "$stack" DeletionProtection)
if [ "$protected" = yes ]; then
  fail "the table of $stack is protected from deletion: deploy with DeletionProtection=no first" 3
fi
# The stack goes first, so that nothing makes activations any more while they are deleted.
if [ "$half" = patching ]; then
  refuse_while_running
  prefix=$(output_of "$stack" CredentialPrefix) mark=$(output_of "$stack" StackMark)
  delete_stack "$stack"
  [ -z "$prefix" ] || tell "kept: credentials for Azure below $prefix in Parameter Store: aws ssm delete-parameter --name NAME"
  [ -z "$mark" ] || tell "kept: snapshots and disks in Azure: az resource list --tag moorings-stack=$mark shows them"
else
  key=$(output_of "$stack" KmsKeyArn)
  delete_stack "$stack"
  [ -z "$key" ] || tell "kept: KMS key $key, if the stack made it, is deleted by AWS after 30 days"
  delete_endpoint
  delete_activations
  tell "kept: managed nodes stay registered: aws ssm deregister-managed-instance --instance-id ID removes one"
fi
delete_artifacts
