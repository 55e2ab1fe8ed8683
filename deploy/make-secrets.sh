#!/bin/sh
# Makes the files that docker-compose.yml and deploy/kubernetes/ take secrets from, in the folder secrets/ (or another
# that is named). Files that are there stay as they are: run it again after an upgrade.
set -eu
folder=${1:-secrets}
# The folder keeps others of this machine out. The files themselves are read by users of the containers, whom this
# machine does not know, so they are open to all who come that far.
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
umask 022

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
# Complete or absent: a name, and its content on standard input.
keep() { cat > ".$1" && mv ".$1" "$1"; }

test -e secret-key || random | keep secret-key
test -e postgres-password || random | keep postgres-password
test -e gallery-api-key || random | keep gallery-api-key
# One secret as those read it who don't take it alone.
printf 'service:\n  api_key: %s\n' "$(cat gallery-api-key)" | keep qdrant.yaml
if ! test -e s3-credentials; then
  printf '[default]\naws_access_key_id = catalog\naws_secret_access_key = %s\n' "$(random)" | keep s3-credentials
fi
keep s3.json <<END
{"identities": [{"name": "catalog", "actions": ["Admin", "Read", "List", "Write"], "credentials": [{
  "accessKey": "$(sed -n 's/^aws_access_key_id *= *//p' s3-credentials)",
  "secretKey": "$(sed -n 's/^aws_secret_access_key *= *//p' s3-credentials)"}]}]}
END
