# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach the source cloud: the options that all modules and plugins of that side share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - Name of the entry in C(clouds.yaml) that says where the source cloud is and as whom to log in; or the content of
        such an entry as a dictionary.
      - Left out, the environment variable E(OS_CLOUD) names it; where that is not set either, the option O(auth) or the
        E(OS_AUTH_URL), E(OS_USERNAME), ... variables are used.
      - The file is looked for in E(OS_CLIENT_CONFIG_FILE), the working directory, C(~/.config/openstack) and
        C(/etc/openstack), as openstacksdk does.
    type: raw
  auth:
    description:
      - Credential, as openstacksdk takes it, for example C(auth_url), C(username), C(password), C(project_name),
        C(user_domain_name), C(project_domain_name), or C(application_credential_id) and
        C(application_credential_secret).
      - Adds to, and wins over, what the entry of O(cloud) says.
    type: dict
  auth_type:
    description:
      - Kind of credential in O(auth), for example V(v3password), V(v3applicationcredential) or V(v3token).
    type: str
  region_name:
    description:
      - Region. Left out, the one that the entry of O(cloud) or E(OS_REGION_NAME) names.
    type: str
  project_id:
    description:
      - Id of another project than the credential's own, in which it has a role.
    type: str
  interface:
    description:
      - Which of the cloud's endpoints to use. Left out, the entry of O(cloud) decides, else V(public).
    type: str
    choices: [public, internal, admin]
  validate_certs:
    description:
      - Whether the cloud's TLS certificates are verified. Left out, the entry of O(cloud) decides, else they are.
    type: bool
  ca_cert:
    description:
      - File with the certificate authority (PEM) that signed the cloud's certificates.
    type: path
  api_timeout:
    description:
      - Seconds that one call to the cloud may take.
      - Left out, 30 for a call for a list of objects when a tenant is read, else 60.
    type: float
requirements:
  - openstacksdk >= 4.4, < 5
"""
