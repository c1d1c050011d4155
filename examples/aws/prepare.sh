#!/bin/sh
# Makes what the example takes from AWS, with AWS's own command line.
set -eu
aws s3 mb s3://shop-artifacts
aws ssm put-parameter --name /shop/password --type SecureString --value 'correct horse' --overwrite
