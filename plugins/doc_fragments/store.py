# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of objects outside of the platform, a directory or a bucket of S3, and who can open what is kept there."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  store:
    description:
      - Where it is kept.
    type: dict
    required: true
    suboptions:
      place:
        description:
          - A directory, or V(s3://bucket/prefix).
        type: str
        required: true
      endpoint_url:
        description:
          - URL of the service that speaks S3. Left out, E(AWS_ENDPOINT_URL_S3) or E(AWS_ENDPOINT_URL) is used, else AWS
            itself.
        type: str
      region:
        description:
          - Region of the bucket. Left out, E(AWS_REGION) or E(AWS_DEFAULT_REGION) is used.
        type: str
      access_key:
        description:
          - Access key. Left out, E(AWS_ACCESS_KEY_ID) is used.
        type: str
      secret_key:
        description:
          - Secret key. Left out, E(AWS_SECRET_ACCESS_KEY) is used.
        type: str
      ca_cert:
        description:
          - File with the certificate authority (PEM) that signed the certificate of the service. Left out,
            E(AWS_CA_BUNDLE) is used.
        type: path
      retain_until:
        description:
          - Moment before which nobody can remove what is kept (S3 object lock, compliance mode), like
            V(2027-06-30T00:00:00Z). The bucket must have been made with object lock.
        type: str
  recipients:
    description:
      - Certificates (PEM) of those who can open it, the customer's among them.
    type: list
    elements: str
    required: true
  key:
    description:
      - Private key (PEM) of one of the recipients, without a pass phrase, for the restore that proves the copy.
    type: str
    required: true
requirements:
  - openssl >= 3.0 where it runs
  - boto3 >= 1.36, < 2 for a bucket
"""
