# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in rules: data in the form of a rule file, read by `rules` like any other. docs/rules.md lists them.

A text completes the name of its object: "web-1: its state is ERROR, …".
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

_FULL = {"empty": False}
_VMWARE = ("vsphere", "cloud_avenue")


def _row(
    ident: str,
    severity: str,
    kind: str,
    when: Row,
    says: tuple[str, str],
    action: tuple[str, str] = ("", ""),
    *,
    each: str = "",
    data_gap: bool = False,
    target: tuple[str, ...] = (),
) -> Row:
    row: Row = {"id": ident, "severity": severity, "kind": kind, "when": when}
    if each:
        row["each"] = each
    row["says"] = {"en": says[0], "fr": says[1]}
    if action[0]:
        row["action"] = {"en": action[0], "fr": action[1]}
    if data_gap:
        row["data_gap"] = True
    if target:
        row["target"] = list(target)
    return row


_STAYS = ("Drafted as move: none.", "Prévu comme move: none.")

# What keeps a server where it is. The wording goes into the plan as the reason.
_BLOCKERS: tuple[Row, ...] = (
    _row(
        "server_state",
        "blocker",
        "servers",
        {"movable": False},
        ("its state is {status}, not ACTIVE or SHUTOFF", "son état est {status}, ni ACTIVE ni SHUTOFF"),
        _STAYS,
    ),
    _row(
        "server_frozen",
        "blocker",
        "servers",
        {"frozen": True},
        ("the cloud has frozen it (EcmResStatus=freeze)", "le cloud l'a gelé (EcmResStatus=freeze)"),
        _STAYS,
    ),
    _row(
        "size_unknown",
        "blocker",
        "servers",
        {"known.size": False},
        ("its size could not be read", "sa taille n'a pas pu être lue"),
        _STAYS,
        data_gap=True,
    ),
    _row(
        "disks_unknown",
        "blocker",
        "servers",
        {"disks_known": False},
        ("its disks could not all be read", "ses disques n'ont pas tous pu être lus"),
        (
            "Drafted as move: none. Let the credential see all its volumes, and assess again.",
            "Prévu comme move: none. Donner accès à tous ses volumes, puis refaire l'évaluation.",
        ),
        data_gap=True,
    ),
    _row(
        "ports_unknown",
        "blocker",
        "servers",
        {"ports_known": False},
        ("its ports could not all be read", "ses ports n'ont pas tous pu être lus"),
        (
            "Drafted as move: none. Let the credential see all its ports, and assess again.",
            "Prévu comme move: none. Donner accès à tous ses ports, puis refaire l'évaluation.",
        ),
        data_gap=True,
    ),
    _row(
        "volume_multiattach",
        "blocker",
        "servers",
        {"any": [{"each.multiattach": True}, {"each.shared": True}]},
        (
            "its volume {each.id} can be attached to several servers at once",
            "son volume {each.id} peut être attaché à plusieurs serveurs à la fois",
        ),
        _STAYS,
        each="disks",
    ),
    _row(
        "volume_encrypted",
        "blocker",
        "servers",
        {"each.encrypted": True},
        ("its volume {each.id} is encrypted", "son volume {each.id} est chiffré"),
        (
            "Drafted as move: none. Copy its data to a volume that is not encrypted first.",
            "Prévu comme move: none. Copier d'abord ses données sur un volume non chiffré.",
        ),
        each="disks",
    ),
    _row(
        "volume_state",
        "blocker",
        "servers",
        {"each.known": True, "each.status": {"not_in": ["in-use", "available"]}},
        ("its volume {each.id} is {each.status}", "son volume {each.id} est dans l'état {each.status}"),
        _STAYS,
        each="disks",
    ),
    _row(
        "local_root_disk",
        "blocker",
        "servers",
        {"disks_known": True, "local_root": True},
        (
            "it boots from a local disk of the hypervisor, which no snapshot can be cloned from",
            "il démarre sur un disque local de l'hyperviseur, dont aucun instantané ne peut être cloné",
        ),
        _STAYS,
    ),
    _row(
        "boot_disk_missing",
        "blocker",
        "servers",
        {"disks_known": True, "local_root": False, "boot_volume": False},
        (
            "none of its volumes is known to be its boot disk",
            "aucun de ses volumes n'est connu comme disque de démarrage",
        ),
        _STAYS,
    ),
    _row(
        "disk_over_limit",
        "blocker",
        "servers",
        {"each.too_large": True},
        (
            "its volume {each.id} of {each.size_gib} GiB is larger than any disk of the target "
            "({each.size_limit_gib} GiB)",
            "son volume {each.id} de {each.size_gib} Gio dépasse le plus grand disque de la cible "
            "({each.size_limit_gib} Gio)",
        ),
        (
            "Copy its files to smaller volumes in the guest, shrink it, or let the policy send it to another target.",
            "Copier ses fichiers sur des volumes plus petits, le réduire, ou l'envoyer ailleurs par la politique.",
        ),
        each="disks",
    ),
    # vSphere configuration maximums: four SCSI controllers with 15 disks each.
    _row(
        "disks_many",
        "blocker",
        "servers",
        {"disk_count": {"gt": 60}},
        ("it has {disk_count} volumes; the target takes 60", "il a {disk_count} volumes ; la cible en accepte 60"),
        _STAYS,
        target=_VMWARE,
    ),
    _row(
        "nics_many",
        "blocker",
        "servers",
        {"port_count": {"gt": 10}},
        ("it has {port_count} ports; the target takes 10", "il a {port_count} ports ; la cible en accepte 10"),
        _STAYS,
        target=_VMWARE,
    ),
    _row(
        "guest_not_linux",
        "blocker",
        "servers",
        {"os_family": ["windows", "other"]},
        (
            "its system is {os_label}, which cannot be adapted yet",
            "son système est {os_label}, qui ne peut pas encore être adapté",
        ),
        _STAYS,
    ),
    _row(
        "cluster_node",
        "blocker",
        "servers",
        {"cluster_node": _FULL},
        ("it is a node of the cluster {cluster_node}", "c'est un nœud de la grappe {cluster_node}"),
        (
            "Not moved: deploy its workloads on a cluster at the target.",
            "Pas déplacé : redéployer ses applications sur une grappe de la cible.",
        ),
    ),
)

# What must be known or done for a server to move.
_SERVERS: tuple[Row, ...] = (
    _row(
        "reader",
        "information",
        "servers",
        {"reader": True},
        ("is the reader host of this plan", "est l'hôte lecteur de ce plan"),
        ("Not moved.", "Pas déplacé."),
    ),
    _row(
        "firmware_unknown",
        "warning",
        "servers",
        {"firmware": {"empty": True}, "os_label": {"empty": True}},
        (
            "nothing is known of its image, so neither which firmware it needs",
            "rien n'est connu de son image, ni donc quel micrologiciel il lui faut",
        ),
        (
            "Drafted as bios; set firmware: efi where the guest boots by UEFI.",
            "Prévu comme bios ; mettre firmware: efi si le système démarre par UEFI.",
        ),
        data_gap=True,
    ),
    # Image service, "Useful image properties": without hw_firmware_type Nova starts x86 guests by BIOS.
    _row(
        "firmware_default",
        "information",
        "servers",
        {"firmware": {"empty": True}, "os_label": {"empty": False}},
        (
            "its image names no firmware (hw_firmware_type): the cloud then starts it by BIOS",
            "son image ne nomme pas de micrologiciel (hw_firmware_type) : le cloud le démarre alors par BIOS",
        ),
        (
            "Drafted as bios; set firmware: efi where the guest boots by UEFI.",
            "Prévu comme bios ; mettre firmware: efi si le système démarre par UEFI.",
        ),
    ),
    _row(
        "guest_unknown",
        "warning",
        "servers",
        {"os_known": False},
        (
            "its image does not say which system it holds (os_distro, os_version): {os_label}",
            "son image ne dit pas quel système elle contient (os_distro, os_version) : {os_label}",
        ),
        (
            "Drafted as another Linux; guest adaptation looks at the disk itself.",
            "Prévu comme un autre Linux ; l'adaptation regarde le disque lui-même.",
        ),
        data_gap=True,
    ),
    _row(
        "os_out_of_support",
        "warning",
        "servers",
        {"os_support": "ended"},
        (
            "{os} {os_version} gets no updates from its maker any more",
            "{os} {os_version} ne reçoit plus de mises à jour de son éditeur",
        ),
        (
            "Moves as it is; plan its renewal, or extended support.",
            "Déplacé tel quel ; prévoir son renouvellement ou un support étendu.",
        ),
    ),
    _row(
        "os_unsupported",
        "warning",
        "servers",
        {
            "any": [
                {"os": "debian", "os_major": {"lt": 8}},
                {"os": ["centos", "rhel", "oracle"], "os_major": {"lt": 6}},
                {"os": "sles", "os_major": {"lt": 11}},
                {"os": "ubuntu", "os_major": {"lt": 14}},
                {"os": "freebsd", "os_major": {"lt": 12}},
            ]
        },
        (
            "{os} {os_version} is older than any release that vSphere 8 has a name for",
            "{os} {os_version} est plus ancien que toute version que vSphere 8 connaît",
        ),
        ("Rehearse its move before it is given a date.", "Répéter son déplacement avant de lui donner une date."),
        target=_VMWARE,
    ),
    _row(
        "disk_large",
        "warning",
        "servers",
        {"each.size_gib": {"gt": 2048}},
        (
            "its volume {each.id} has {each.size_gib} GiB, more than 2 TiB",
            "son volume {each.id} fait {each.size_gib} Gio, plus de 2 Tio",
        ),
        (
            "Give its copy time in the window; a partition table of type MBR cannot use more than 2 TiB.",
            "Prévoir le temps de copie dans la fenêtre ; une table de partitions MBR s'arrête à 2 Tio.",
        ),
        each="disks",
    ),
    _row(
        "boot_disk_large",
        "warning",
        "servers",
        {"each.boot": True, "each.size_gib": {"gt": 4095}},
        (
            "its boot volume {each.id} has {each.size_gib} GiB; Azure takes 4095",
            "son volume de démarrage {each.id} fait {each.size_gib} Gio ; Azure en accepte 4095",
        ),
        ("Move its data to a volume of its own.", "Déplacer ses données sur un volume à part."),
        each="disks",
        target=("bleu",),
    ),
    _row(
        "no_port",
        "warning",
        "servers",
        {"port_count": 0, "ports_known": True},
        ("it has no port", "il n'a pas de port"),
        ("Drafted without a network card.", "Prévu sans carte réseau."),
    ),
    _row(
        "nic_order",
        "information",
        "servers",
        {"port_count": {"gt": 1}},
        (
            "it has {port_count} ports, whose order in the guest the cloud does not promise",
            "il a {port_count} ports, dont le cloud ne garantit pas l'ordre dans le système",
        ),
        (
            "Drafted in the order of the cloud's record; MAC addresses are kept, and the guest goes by them.",
            "Prévus dans l'ordre du cloud ; les adresses MAC sont conservées et le système s'y fie.",
        ),
    ),
    _row(
        "floating_ip",
        "warning",
        "servers",
        {},
        (
            "the floating address {each} stays with the source cloud",
            "l'adresse flottante {each} reste chez le cloud source",
        ),
        (
            "Give it another public address at the target.",
            "Lui donner une autre adresse publique à la cible.",
        ),
        each="floating",
    ),
    _row(
        "allowed_address_pairs",
        "warning",
        "servers",
        {"each.pairs": _FULL},
        (
            "its port {each.id} may use other addresses: {each.pairs}",
            "son port {each.id} peut utiliser d'autres adresses : {each.pairs}",
        ),
        (
            "They are often virtual addresses of a cluster: move its members together.",
            "Souvent des adresses virtuelles d'une grappe : déplacer ses membres ensemble.",
        ),
        each="ports",
    ),
    _row(
        "port_security_off",
        "warning",
        "servers",
        {"each.known": True, "each.security": False},
        (
            "its port {each.id} has no security groups and no address checks",
            "son port {each.id} n'a ni groupes de sécurité ni contrôle d'adresses",
        ),
        (
            "Firewalls and routers need the same freedom at the target: allow forged transmits for its network.",
            "Un pare-feu ou un routeur a besoin de la même liberté à la cible : autoriser les transmissions forgées.",
        ),
        each="ports",
        target=("vsphere", "bleu"),
    ),
    _row(
        "port_security_provider",
        "warning",
        "servers",
        {"each.known": True, "each.security": False},
        (
            "its port {each.id} has no security groups and no address checks",
            "son port {each.id} n'a ni groupes de sécurité ni contrôle d'adresses",
        ),
        (
            "What a network lets pass from foreign addresses is the provider's to set: ask before its wave.",
            "Ce qu'un réseau laisse passer d'adresses étrangères dépend du fournisseur : demander avant sa vague.",
        ),
        each="ports",
        target=("cloud_avenue",),
    ),
    _row(
        "vnic_type",
        "warning",
        "servers",
        {"each.vnic_type": {"ne": "normal"}},
        ("its port {each.id} is of type {each.vnic_type}", "son port {each.id} est de type {each.vnic_type}"),
        ("Drafted as vmxnet3.", "Prévu comme vmxnet3."),
        each="ports",
    ),
    _row(
        "shared_network",
        "warning",
        "servers",
        {"each.shared_network": True},
        (
            "its network {each.network} is shared with other projects",
            "son réseau {each.network} est partagé avec d'autres projets",
        ),
        (
            "Agree with those on the network: its addresses cannot be in two places.",
            "S'accorder avec les autres : ses adresses ne peuvent pas être à deux endroits.",
        ),
        each="ports",
    ),
    _row(
        "ipv6",
        "warning",
        "servers",
        {"each.ipv6": True},
        ("its port {each.id} has IPv6: {each.addresses}", "son port {each.id} a de l'IPv6 : {each.addresses}"),
        (
            "Check that the target's network has IPv6, and with which prefix.",
            "Vérifier que le réseau cible a de l'IPv6, et avec quel préfixe.",
        ),
        each="ports",
    ),
    # Image service, "Useful image properties": os_secure_boot, hw_tpm_version.
    _row(
        "secure_boot",
        "warning",
        "servers",
        {"properties.os_secure_boot": ["required", "optional"]},
        (
            "its image asks for Secure Boot ({properties.os_secure_boot})",
            "son image demande Secure Boot ({properties.os_secure_boot})",
        ),
        (
            "Made without it; switch it on at the target once the machine is accepted, if its system needs it.",
            "Créé sans ; l'activer à la cible une fois la machine acceptée, si son système en a besoin.",
        ),
        target=_VMWARE,
    ),
    _row(
        "tpm",
        "warning",
        "servers",
        {"properties.hw_tpm_version": _FULL},
        (
            "its image asks for a TPM ({properties.hw_tpm_version})",
            "son image demande un TPM ({properties.hw_tpm_version})",
        ),
        (
            "A TPM does not move: have recovery keys for all that is sealed in it before its wave.",
            "Un TPM ne se déplace pas : avoir les clés de secours de tout ce qu'il protège avant sa vague.",
        ),
    ),
    _row(
        "xen",
        "warning",
        "servers",
        {"hypervisor": "xen"},
        ("it runs on Xen (flavor {flavor})", "il tourne sur Xen (gabarit {flavor})"),
        (
            "Its drivers and device names are those of Xen: prepare_guest or guest adaptation changes them.",
            "Ses pilotes et noms de périphériques sont ceux de Xen : prepare_guest ou l'adaptation les change.",
        ),
    ),
    _row(
        "xen_device_names",
        "warning",
        "servers",
        {"disks[].device": {"matches": "^(?:/dev/)?xvd"}},
        (
            "its disks have names of Xen: {disks[].device}",
            "ses disques ont des noms de Xen : {disks[].device}",
        ),
        (
            "Guest adaptation turns them into UUIDs in fstab and boot loader; check scripts of your own.",
            "L'adaptation les remplace par des UUID dans fstab et le chargeur ; vérifier vos propres scripts.",
        ),
    ),
    _row(
        "agents",
        "information",
        "servers",
        {"agents": _FULL},
        (
            "its image brings agents of the source cloud: {agents}",
            "son image apporte des agents du cloud source : {agents}",
        ),
        (
            "Guest adaptation switches them off; remove them at the target.",
            "L'adaptation les désactive ; les supprimer à la cible.",
        ),
    ),
    _row(
        "license_bundled",
        "warning",
        "servers",
        {"license": "bundled"},
        (
            "the source cloud brings the licence of its system ({os_label})",
            "le cloud source fournit la licence de son système ({os_label})",
        ),
        (
            "Have a licence or subscription for it at the target before its bytes leave.",
            "Disposer d'une licence ou d'un abonnement à la cible avant que ses données partent.",
        ),
    ),
    _row(
        "license_market",
        "warning",
        "servers",
        {"license": "market"},
        ("it was made from an image of the marketplace", "il vient d'une image de la place de marché"),
        (
            "Ask its maker whether it may run elsewhere, and under which licence.",
            "Demander à l'éditeur s'il peut tourner ailleurs, et sous quelle licence.",
        ),
    ),
    _row(
        "scaling_member",
        "warning",
        "servers",
        {"scaling_group": _FULL},
        (
            "it was made by the autoscaling group {scaling_group}",
            "il a été créé par le groupe d'autoscaling {scaling_group}",
        ),
        (
            "Suspend the group before its wave, or it is replaced while it moves; better: move none, and make anew.",
            "Suspendre le groupe avant sa vague, sinon il sera remplacé ; mieux : ne rien déplacer et recréer.",
        ),
    ),
    _row(
        "server_group",
        "information",
        "servers",
        {"server_groups": _FULL},
        (
            "it is in the server group {server_groups}",
            "il est dans le groupe de serveurs {server_groups}",
        ),
        ("Make a placement rule of it at the target.", "En faire une règle de placement à la cible."),
    ),
    _row(
        "load_balancer_member",
        "warning",
        "servers",
        {"load_balancers": _FULL},
        (
            "it is a member of the load balancer {load_balancers}",
            "il est membre du répartiteur de charge {load_balancers}",
        ),
        (
            "Make the load balancer at the target before its wave, and switch the names over with it.",
            "Créer le répartiteur à la cible avant sa vague, et basculer les noms avec lui.",
        ),
    ),
    _row(
        "stack_owned",
        "information",
        "servers",
        {"stack": _FULL},
        ("it was made by the stack {stack}", "il a été créé par la pile {stack}"),
        (
            "Do not update the stack until it has moved; it is not made anew at the target.",
            "Ne plus mettre la pile à jour avant le déplacement ; elle n'est pas recréée à la cible.",
        ),
    ),
    _row(
        "pci_passthrough",
        "warning",
        "servers",
        {"extra_specs.pci_passthrough:alias": {"exists": True}},
        (
            "its flavor {flavor} gives it a device of the hypervisor",
            "son gabarit {flavor} lui donne un périphérique de l'hyperviseur",
        ),
        ("Check that the target has such a device.", "Vérifier que la cible a un tel périphérique."),
    ),
    _row(
        "server_locked",
        "warning",
        "servers",
        {"locked": True},
        ("it is locked", "il est verrouillé"),
        ("Unlock it before its wave: it must be stopped.", "Le déverrouiller avant sa vague : il doit être arrêté."),
    ),
    _row(
        "key_pair_lost",
        "information",
        "servers",
        {"key_known": False},
        (
            "its key pair {key_name} is not there any more, or is another user's",
            "sa paire de clés {key_name} n'existe plus, ou appartient à un autre utilisateur",
        ),
        (
            "The key stays in the guest; find out who has it, or set another login before the move.",
            "La clé reste dans le système ; trouver qui l'a, ou prévoir un autre accès avant le déplacement.",
        ),
    ),
    _row(
        "config_drive",
        "information",
        "servers",
        {"config_drive": True},
        (
            "it has a config drive, which the target does not have",
            "il a un disque de configuration, que la cible n'a pas",
        ),
        (
            "Guest adaptation keeps cloud-init from making it another machine; check scripts that read the drive.",
            "L'adaptation empêche cloud-init d'en faire une autre machine ; vérifier les scripts qui le lisent.",
        ),
    ),
    _row(
        "hostname_novalocal",
        "information",
        "servers",
        {"any": [{"name": {"glob": "*.novalocal"}}, {"dns_names[]": {"glob": "*.novalocal"}}]},
        (
            "its name ends with .novalocal, which the source cloud gives",
            "son nom finit par .novalocal, que donne le cloud source",
        ),
        (
            "The guest keeps its name; check what goes by the long one.",
            "Le système garde son nom ; vérifier ce qui dépend du nom long.",
        ),
    ),
    _row(
        "server_backups_left",
        "information",
        "servers",
        {"backups": {"gt": 0}},
        ("backups of the whole server: {backups}", "sauvegardes du serveur entier : {backups}"),
        (
            "Backups cannot leave the cloud: restore what must be kept, and set up backups at the target.",
            "Les sauvegardes ne peuvent pas quitter le cloud : restaurer ce qui doit être gardé, et sauvegarder à la "
            "cible.",
        ),
    ),
    _row(
        "subscription",
        "warning",
        "servers",
        {"charging": "subscription"},
        ("it is billed by subscription", "il est facturé par abonnement"),
        (
            "It moves, but nobody can delete it by API: end the subscription by contract.",
            "Il se déplace, mais ne peut pas être supprimé par API : résilier l'abonnement par contrat.",
        ),
    ),
    _row(
        "idle",
        "information",
        "servers",
        {"idle_days": {"gt": 0}},
        (
            "it did nothing in the last {idle_days} days",
            "il n'a rien fait ces {idle_days} derniers jours",
        ),
        ("Ask whether it can be retired.", "Demander s'il peut être retiré."),
    ),
)

_VOLUMES: tuple[Row, ...] = (
    _row(
        "volume_unattached",
        "information",
        "volumes",
        {"attached": False},
        ("{size_gib} GiB, attached to no server", "{size_gib} Gio, attaché à aucun serveur"),
        (
            "Stays behind. Attach it to a server if it is to move.",
            "Reste sur place. L'attacher à un serveur s'il doit partir.",
        ),
    ),
    _row(
        "volume_error",
        "warning",
        "volumes",
        {"attached": False, "status": {"matches": "^error"}},
        ("its state is {status}", "son état est {status}"),
        (
            "Have it repaired by the cloud if its data are needed.",
            "Le faire réparer par le cloud si ses données sont utiles.",
        ),
    ),
    _row(
        "snapshots_left",
        "information",
        "volumes",
        {"snapshots": {"gt": 0}},
        ("snapshots: {snapshots}", "instantanés : {snapshots}"),
        (
            "Only the disk as it is moves; its snapshots stay behind.",
            "Seul le disque actuel part ; ses instantanés restent.",
        ),
    ),
    _row(
        "backups_left",
        "warning",
        "volumes",
        {"backups": {"gt": 0}},
        ("backups: {backups}", "sauvegardes : {backups}"),
        (
            "Backups cannot leave the cloud: restore what must be kept, and set up backups at the target.",
            "Les sauvegardes ne peuvent pas quitter le cloud : restaurer ce qui doit être gardé, et sauvegarder à la "
            "cible.",
        ),
    ),
    _row(
        "volume_key",
        "warning",
        "volumes",
        {"encrypted": True, "key": _FULL},
        ("it is encrypted with the key {key}", "il est chiffré avec la clé {key}"),
        (
            "The key cannot leave the cloud; keep it until all that it protects has been copied and accepted.",
            "La clé ne peut pas quitter le cloud ; la garder jusqu'à ce que tout soit copié et accepté.",
        ),
    ),
    _row(
        "storage_unmapped",
        "warning",
        "volumes",
        {"attached": True, "storage_mapped": False},
        (
            "the policy names no storage for its type {type}",
            "la politique ne prévoit pas de stockage pour son type {type}",
        ),
        (
            "Goes to the plan's default storage; add its type to storage in the policy.",
            "Va sur le stockage par défaut du plan ; ajouter son type à storage dans la politique.",
        ),
    ),
    _row(
        "storage_missing",
        "warning",
        "volumes",
        {"attached": True, "storage_exists": False},
        (
            "the target has no storage {storage_class}, which the policy names for its type {type}",
            "la cible n'a pas de stockage {storage_class}, prévu par la politique pour son type {type}",
        ),
        ("Order it at the target, or change the policy.", "Le commander à la cible, ou changer la politique."),
    ),
    _row(
        "backup_snapshot",
        "information",
        "snapshots",
        {"of_backup": True},
        ("belongs to a backup of its volume {volume}", "appartient à une sauvegarde de son volume {volume}"),
        ("Goes with the backup.", "Disparaît avec la sauvegarde."),
    ),
)

_NETWORK: tuple[Row, ...] = (
    _row(
        "port_orphan",
        "information",
        "ports",
        {"attached": False, "virtual": False},
        (
            "nothing uses it (network {network}, {addresses})",
            "rien ne l'utilise (réseau {network}, {addresses})",
        ),
        ("Stays behind.", "Reste sur place."),
    ),
    _row(
        "virtual_address",
        "warning",
        "ports",
        {"virtual": True},
        (
            "it holds a virtual address that servers share: {addresses}",
            "il porte une adresse virtuelle que des serveurs partagent : {addresses}",
        ),
        (
            "Keep the address free at the target, and move the servers together.",
            "Garder l'adresse libre à la cible, et déplacer les serveurs ensemble.",
        ),
    ),
    _row(
        "mtu_large",
        "warning",
        "networks",
        {"own": True, "external": False, "mtu": {"gt": 1500}},
        ("its packets have up to {mtu} bytes", "ses paquets font jusqu'à {mtu} octets"),
        (
            "Set 1500 in the guests, or ask for as much at the target.",
            "Mettre 1500 dans les systèmes, ou demander autant à la cible.",
        ),
    ),
    _row(
        "network_subnets",
        "warning",
        "networks",
        {"servers": {"gt": 0}, "any": [{"ipv4_subnets": {"gt": 1}}, {"ipv6_subnets": {"gt": 1}}]},
        (
            "it has {ipv4_subnets} subnets of IPv4 and {ipv6_subnets} of IPv6; a network there takes one of each",
            "il a {ipv4_subnets} sous-réseaux IPv4 et {ipv6_subnets} IPv6 ; un réseau y accepte un de chaque",
        ),
        (
            "Prepare refuses it: have the servers of each subnet on a network of its own first.",
            "La préparation le refuse : mettre d'abord les serveurs de chaque sous-réseau sur un réseau à part.",
        ),
        target=("cloud_avenue",),
    ),
    _row(
        "cloud_resolvers",
        "warning",
        "subnets",
        {"cloud_resolvers": _FULL},
        (
            "hands out name servers that only the source cloud has: {cloud_resolvers}",
            "distribue des serveurs de noms propres au cloud source : {cloud_resolvers}",
        ),
        (
            "Set name servers of the target in its DHCP, and in guests that have them fixed.",
            "Mettre les serveurs de noms de la cible dans le DHCP, et dans les systèmes qui les ont en dur.",
        ),
    ),
    _row(
        "dhcp_routes",
        "warning",
        "subnets",
        {"own": True, "routes": {"gt": 0}},
        ("hands out routes by DHCP: {routes}", "distribue des routes par DHCP : {routes}"),
        (
            "Set the same routes in the target's DHCP, or in the guests.",
            "Mettre les mêmes routes dans le DHCP de la cible, ou dans les systèmes.",
        ),
    ),
    _row(
        "addresses_overlap",
        "warning",
        "subnets",
        {"overlaps": _FULL},
        (
            "its addresses ({cidr}) are in use on other networks as well: {overlaps}",
            "ses adresses ({cidr}) servent aussi sur d'autres réseaux : {overlaps}",
        ),
        (
            "Addresses are kept: such networks need gateways apart at the target.",
            "Les adresses sont conservées : de tels réseaux ont besoin de passerelles séparées à la cible.",
        ),
    ),
    _row(
        "azure_addresses",
        "warning",
        "subnets",
        {"low_addresses": _FULL},
        (
            "servers have addresses that Azure takes for itself: {low_addresses}",
            "des serveurs ont des adresses qu'Azure se réserve : {low_addresses}",
        ),
        ("Change them before the move.", "Les changer avant le déplacement."),
        target=("bleu",),
    ),
    _row(
        "group_names_group",
        "warning",
        "security_groups",
        {"names_groups": _FULL},
        ("its rules name groups: {names_groups}", "ses règles nomment des groupes : {names_groups}"),
        (
            "Members on both sides lose sight of each other: move them together, or open the addresses meanwhile.",
            "Des membres des deux côtés ne se voient plus : les déplacer ensemble, ou ouvrir les adresses entre-temps.",
        ),
    ),
    _row(
        "group_open",
        "warning",
        "security_groups",
        {"open_to_all": _FULL},
        (
            "lets everybody in to everything ({open_to_all})",
            "laisse tout le monde accéder à tout ({open_to_all})",
        ),
        (
            "Narrow it before it becomes a rule of the target's firewall.",
            "Le restreindre avant qu'il devienne une règle du pare-feu de la cible.",
        ),
    ),
    _row(
        "group_admin_open",
        "warning",
        "security_groups",
        {"open_admin": _FULL},
        ("lets everybody in to {open_admin}", "laisse tout le monde accéder à {open_admin}"),
        (
            "Narrow it to the networks of administrators.",
            "Le restreindre aux réseaux des administrateurs.",
        ),
    ),
    _row(
        "floating_unattached",
        "information",
        "floating_ips",
        {"attached": False},
        ("leads nowhere, and is billed", "ne mène nulle part, et est facturée"),
        ("Give it back.", "La rendre."),
    ),
    _row(
        "floating_named",
        "warning",
        "floating_ips",
        {"dns_names": _FULL},
        ("names point at it: {dns_names}", "des noms pointent vers elle : {dns_names}"),
        (
            "The address stays behind: shorten their lifetime days before, and change them on the day.",
            "L'adresse reste sur place : réduire leur durée de vie à l'avance, et les changer le jour même.",
        ),
    ),
    _row(
        "peering",
        "warning",
        "peerings",
        {},
        ("another network is joined to this one", "un autre réseau est joint à celui-ci"),
        (
            "Ask who is on the other side: what they reach here moves away from them.",
            "Demander qui est de l'autre côté : ce qu'ils atteignent ici s'éloigne d'eux.",
        ),
    ),
    _row(
        "vpn_connection",
        "warning",
        "vpn_connections",
        {},
        ("a site reaches this tenant by VPN", "un site atteint ce tenant par VPN"),
        (
            "Agree a date with the other end: it must be set up anew there as well.",
            "Convenir d'une date avec l'autre bout : il faut aussi le refaire là-bas.",
        ),
    ),
)

_OTHERS: tuple[Row, ...] = (
    _row(
        "image_export_refused",
        "information",
        "images",
        {"own": True, "export": "refused"},
        ("the source cloud does not export it", "le cloud source ne l'exporte pas"),
        (
            "If it is still needed, make a server of it, and move that.",
            "S'il est encore utile, en faire un serveur, et déplacer celui-ci.",
        ),
    ),
    _row(
        "image_export_limited",
        "information",
        "images",
        {"own": True, "export": "limited"},
        (
            "the source cloud exports it only in a format of its own (more than 128 GiB)",
            "le cloud source ne l'exporte que dans son propre format (plus de 128 Gio)",
        ),
        (
            "If it is still needed, make a server of it, and move that.",
            "S'il est encore utile, en faire un serveur, et déplacer celui-ci.",
        ),
    ),
    _row(
        "scaling_active",
        "warning",
        "scaling_groups",
        {"status": "INSERVICE"},
        ("is in service", "est en service"),
        (
            "Suspend it before the first wave that holds one of its servers.",
            "Le suspendre avant la première vague qui contient un de ses serveurs.",
        ),
    ),
    _row(
        "private_zone",
        "warning",
        "dns_zones",
        {"properties.zone_type": "private"},
        (
            "its names are only known inside of the source cloud",
            "ses noms ne sont connus qu'à l'intérieur du cloud source",
        ),
        (
            "Make the zone at the target before the first wave: applications fail first where a name is gone.",
            "Créer la zone à la cible avant la première vague : sans ses noms, les applications tombent en premier.",
        ),
    ),
    _row(
        "key_not_enabled",
        "warning",
        "keys",
        {"status": ["3", "4"]},
        ("it is disabled, or will be deleted", "elle est désactivée, ou va être supprimée"),
        (
            "What it encrypts cannot be read or copied: enable it until everything has moved.",
            "Ce qu'elle chiffre ne peut être ni lu ni copié : l'activer jusqu'à ce que tout soit parti.",
        ),
    ),
    _row(
        "vault_left",
        "warning",
        "vaults",
        {},
        (
            "holds backups, which cannot leave the cloud",
            "contient des sauvegardes, qui ne peuvent pas quitter le cloud",
        ),
        (
            "Restore what must be kept; deleting the vault deletes all of them.",
            "Restaurer ce qui doit être gardé ; supprimer le coffre les supprime toutes.",
        ),
    ),
    _row(
        "capacity_short",
        "warning",
        "tenant",
        {},
        (
            "needs {each.needed} of {each.what}; the target has room for {each.limit}",
            "a besoin de {each.needed} ({each.what}) ; la cible a de la place pour {each.limit}",
        ),
        ("Order more at the target before the first wave.", "Commander davantage à la cible avant la première vague."),
        each="over",
    ),
    _row(
        "capacity_unknown",
        "information",
        "tenant",
        {"capacity_known": False},
        ("nobody told what the target has room for", "personne n'a dit quelle place a la cible"),
        ("Add capacity to the policy.", "Ajouter capacity à la politique."),
        data_gap=True,
    ),
    _row(
        "load_unknown",
        "information",
        "tenant",
        {"metrics": False, "servers": {"gt": 0}},
        ("nobody measured how busy its servers are", "personne n'a mesuré la charge de ses serveurs"),
        (
            "Sized as at the source. Read the metrics, and assess again.",
            "Dimensionné comme à la source. Lire les métriques, et refaire l'évaluation.",
        ),
        data_gap=True,
    ),
)

RULES: tuple[Row, ...] = (*_BLOCKERS, *_SERVERS, *_VOLUMES, *_NETWORK, *_OTHERS)
"""All of them, in the order of the manual."""
