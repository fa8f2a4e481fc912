# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a source cloud as inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: source
short_description: Servers of an OpenStack cloud as inventory
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads the servers of one project, of a list of projects, or of all projects that the credential may see. It makes
    one list call a page and none a server, and writes nothing.
  - The file's name must end in C(source.yml), C(source.yaml), C(.fe.yml) or C(.fe.yaml).
  - Names, metadata and tags come from the cloud's users and are data; they are never taken for templates.
  - Options may hold templates, for example C({{ lookup('env', 'TENANT') }}).
  - Each server has the host variables C(fe_id), C(fe_name), C(fe_status), C(fe_created), C(fe_locked),
    C(fe_availability_zone), C(fe_flavor) (C(name), C(vcpus), C(ram_mib), C(disk_gib), C(extra_specs)), C(fe_image_id),
    C(fe_key_name), C(fe_metadata), C(fe_tags), C(fe_security_groups), C(fe_addresses) (list of C(address), C(mac),
    C(network), C(type)), C(fe_volumes) (list of ids), C(fe_project_id), C(fe_project_name), C(fe_region); and
    C(ansible_host) as O(address) says.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [cloudexit.flexible_engine.source]
  projects:
    description:
      - Names or ids of the projects to read. V(all) as the only entry stands for every enabled project in which the
        credential has a role.
      - Left out, the credential's own project is read.
    type: list
    elements: str
    default: []
  hostnames:
    description:
      - What names a host, in order of preference. A name that two servers would have is not used for either of them;
        the next preference is, and in the end V(slug_id).
      - V(slug_id) is the server's name in lower-case letters, digits and dashes, and the first 8 characters of its id.
    type: list
    elements: str
    choices: [slug_id, name, id]
    default: [slug_id]
  address:
    description:
      - Which address becomes C(ansible_host); V(floating) takes a floating address, else the first fixed one.
    type: str
    choices: [floating, fixed, none]
    default: floating
  strict_projects:
    description:
      - Whether a project that cannot be read fails the inventory. With V(false) it is a warning and the other projects
        are there.
    type: bool
    default: true
  page_size:
    description: Servers asked for in one call.
    type: int
    default: 500
"""

EXAMPLES = r"""
# acme.fe.yml: the servers of the project that the entry `acme` of clouds.yaml logs in to
plugin: cloudexit.flexible_engine.source
cloud: acme
---
# all projects, grouped; kept for ten minutes
plugin: cloudexit.flexible_engine.source
cloud: acme
projects: [all]
strict: true
keyed_groups:
  - key: fe_status | lower
    prefix: status
  - key: fe_project_name
    prefix: project
groups:
  large: fe_flavor.vcpus >= 8
compose:
  ansible_user: "'debian'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/cloudexit
cache_timeout: 600
"""

import typing as t
from collections import Counter

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import cloud as clouds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.trust import untrusted

_AUTH = tuple(clouds.argument_spec())


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Fills the inventory with the servers of a source cloud."""

    NAME = "cloudexit.flexible_engine.source"

    def verify_file(self, path: str) -> bool:
        endings = ("source.yml", "source.yaml", ".fe.yml", ".fe.yaml")
        return super().verify_file(path) and path.endswith(endings)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        key = self.get_cache_key(path)
        keep = self.get_option("cache")
        projects = None
        if keep and cache:
            projects = self._cache.get(key)
        if projects is None:
            projects = self._read()
            if keep:
                self._cache[key] = projects
        self._fill(projects)

    def _option(self, name: str) -> t.Any:
        return self.templar.template(self.get_option(name))

    def _read(self) -> list[dict[str, t.Any]]:
        """`[{id, name, region, servers: [...]}]` as plain data, for the cache."""
        try:
            auth = clouds.SourceAuth.from_params({name: self._option(name) for name in _AUTH})
            with clouds.connect(auth) as cloud:
                return [entry for entry in map(self._project, self._clouds(cloud)) if entry]
        except CloudExitError as exc:
            raise AnsibleParserError(str(exc)) from None

    def _clouds(self, cloud: clouds.Cloud) -> t.Iterator[clouds.Cloud]:
        """A connection for each wanted project."""
        wanted = [str(entry) for entry in self._option("projects") or []]
        if not wanted:
            yield cloud
            return
        visible = [project for project in cloud.projects() if project.enabled]
        if wanted == ["all"]:
            chosen = visible
        else:
            chosen = []
            for entry in wanted:
                found = [project for project in visible if entry in (project.id, project.name)]
                if len(found) != 1:
                    known = ", ".join(names.printable(project.name) for project in visible) or "none"
                    cause = f"{len(found)} visible projects have that name or id; visible: {known}"
                    raise NotFound(f"There is no one project {names.printable(entry)!r} in {cloud.label}", cause=cause)
                chosen += found
        for project in chosen:
            try:
                yield cloud.scoped(project.id)
            except CloudExitError as exc:
                self._missed(f"The project {names.printable(project.name)} cannot be read: {exc}")

    def _project(self, cloud: clouds.Cloud) -> dict[str, t.Any] | None:
        read = reading.read(cloud, kinds=("servers",), page_size=self.get_option("page_size"))
        if read.estate.read["servers"] != "complete":
            why = read.estate.findings[0].seen if read.estate.findings else "not all servers were read"
            self._missed(f"The project {names.printable(cloud.project_name)} of {cloud.label}: {why}.")
            if read.estate.read["servers"] == "not_read":
                return None
        return {
            "id": cloud.project_id,
            "name": cloud.project_name,
            "region": cloud.region,
            "servers": [schema.dump(server) for server in read.estate.servers],
        }

    def _missed(self, what: str) -> None:
        if self.get_option("strict_projects"):
            raise CloudExitError(what, hint="With strict_projects: false the others are there all the same.")
        self.display.warning(what)

    def _fill(self, projects: list[dict[str, t.Any]]) -> None:
        try:
            servers = [(project, server) for project in projects for server in project["servers"]]
            hosts = self._hosts([server for _project, server in servers])
        except (KeyError, TypeError) as exc:
            raise AnsibleError("The cached inventory is of another form: run with --flush-cache.") from exc
        strict = self.get_option("strict")
        for project, server in servers:
            host = hosts[server["id"]]
            variables = untrusted(self._variables(project, server))
            self.inventory.add_host(host)
            for name, value in variables.items():
                self.inventory.set_variable(host, name, value)
            self._set_composite_vars(self.get_option("compose"), variables, host, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

    def _hosts(self, servers: list[dict[str, t.Any]]) -> dict[str, str]:
        """The host name of each server id."""
        slugs = names.host_keys({server["id"]: server["name"] for server in servers})
        by = {
            "slug_id": slugs,
            "id": {server["id"]: server["id"] for server in servers},
            "name": {server["id"]: server["name"] for server in servers},
        }
        chosen: dict[str, str] = {}
        for preference in [*self.get_option("hostnames"), "slug_id"]:
            counted = Counter(by[preference].values())
            for identity, name in by[preference].items():
                if identity not in chosen and name and counted[name] == 1 and name not in chosen.values():
                    chosen[identity] = name
        return chosen

    def _variables(self, project: dict[str, t.Any], server: dict[str, t.Any]) -> dict[str, t.Any]:
        variables = {
            f"fe_{key}": server[key]
            for key in (
                "id",
                "name",
                "status",
                "created",
                "locked",
                "availability_zone",
                "flavor",
                "image_id",
                "key_name",
                "metadata",
                "tags",
                "security_groups",
                "addresses",
            )
        }
        variables["fe_volumes"] = [place["volume_id"] for place in server["volumes"]]
        variables["fe_project_id"] = project["id"]
        variables["fe_project_name"] = project["name"]
        variables["fe_region"] = project["region"]
        address = self._address(server["addresses"])
        if address:
            variables["ansible_host"] = address
        return variables

    def _address(self, addresses: list[dict[str, t.Any]]) -> str | None:
        wanted = self.get_option("address")
        if wanted == "none":
            return None
        kinds = ("floating", "fixed") if wanted == "floating" else ("fixed",)
        for kind in kinds:
            found = [entry["address"] for entry in addresses if entry["type"] == kind]
            found.sort(key=lambda address: ":" in address)
            if found:
                return str(found[0])
        return None
