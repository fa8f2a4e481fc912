# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages say, in French: texts by their English, codes of documents in both languages, nouns, notes of kinds."""

from __future__ import annotations

CODES: dict[str, tuple[str, str]] = {
    # readiness
    "ready": ("ready", "prêt"),
    "ready_with_changes": ("ready with changes", "prêt avec adaptations"),
    "not_ready": ("not ready", "pas prêt"),
    "unknown": ("unknown", "inconnu"),
    # severities
    "blocker": ("blocker", "bloquant"),
    "warning": ("warning", "à traiter"),
    "information": ("information", "information"),
    # destinations
    "cloud_avenue": ("Cloud Avenue", "Cloud Avenue"),
    "vsphere": ("vSphere", "vSphere"),
    "bleu": ("Bleu", "Bleu"),
    "rebuild": ("rebuild as a service", "reconstruire en service managé"),
    "retire": ("retire", "arrêter définitivement"),
    "customer": ("the customer decides", "au choix du client"),
    "target vsphere": ("vSphere", "vSphere"),
    "target vcd": ("Cloud Avenue", "Cloud Avenue"),
    "target cloud_avenue": ("Cloud Avenue", "Cloud Avenue"),
    # answers
    "open": ("no answer yet", "sans réponse"),
    "agreed": ("agreed", "accepté"),
    "refused": ("refused", "refusé"),
    "not_asked": ("not asked", "sans objet"),
    # decisions on objects
    "decision move": ("moves", "déplacé"),
    "decision translate": ("translated", "transposé"),
    "decision replace": ("replaced", "remplacé"),
    "decision recreate": ("made again by people", "recréé à la main"),
    "decision leave": ("left behind", "abandonné sur place"),
    "decision customer": ("the customer decides", "au choix du client"),
    # how something was read
    "read complete": ("read", "lu"),
    "read partial": ("read in part", "lu en partie"),
    "read not_read": ("not read", "non lu"),
    "read absent": ("absent", "absent"),
    # drift
    "drift added": ("added", "ajouté"),
    "drift removed": ("removed", "retiré"),
    "drift changed": ("changed", "modifié"),
    # what joins workloads
    "why security_group": ("security group", "groupe de sécurité"),
    "why load_balancer": ("load balancer", "répartiteur de charge"),
    "why volume": ("shared volume", "volume partagé"),
    "why address": ("shared address", "adresse partagée"),
    "why server_group": ("server group", "groupe de serveurs"),
    "why network": ("small network", "petit réseau"),
    "why key_pair": ("key pair", "paire de clés"),
    "why dns": ("DNS name", "nom DNS"),
    "why flow": ("connection seen", "connexion observée"),
    # facts of a server
    "fact disks": ("its disks", "ses disques"),
    "fact size": ("its size", "sa taille"),
    "fact ports": ("its network cards", "ses cartes réseau"),
    "fact os": ("its system", "son système"),
    "fact firmware": ("its firmware", "son micrologiciel"),
    "fact security_groups": ("its security groups", "ses groupes de sécurité"),
    "fact backups": ("its backups", "ses sauvegardes"),
    "fact hypervisor": ("its hypervisor", "son hyperviseur"),
    "fact load": ("how busy it is", "sa charge réelle"),
    # what makes a wave as long as it is
    "bound rate": ("the rate of the copy", "le débit de la copie"),
    "bound slots": ("how many are copied at once", "le nombre de copies simultanées"),
    "bound workload": ("its largest workload", "sa plus grande charge"),
    "bound window_too_short": ("no window is long enough for it", "aucune fenêtre n'est assez longue"),
    "bound too_large": ("its group is beyond the limits of a wave", "son groupe dépasse les limites d'une vague"),
    "bound no_window_left": ("no window is left for it", "il ne reste plus de fenêtre"),
    "kind services": ("services", "services"),
    "kind tenant": ("tenant", "tenant"),
    # whether a tenant is out by its deadline
    "in time yes": ("in time", "à temps"),
    "in time at_risk": ("at risk", "à risque"),
    "in time no": ("too late", "trop tard"),
    "in time unknown": ("not known", "inconnu"),
    # states of a tenant
    "assessed": ("assessed", "évalué"),
    "partial": ("read in part", "lu en partie"),
    "failed": ("failed", "en échec"),
    "not_assessed": ("not assessed yet", "pas encore évalué"),
    # certificates
    "method api_deletion": ("logical deletion by API", "suppression logique par API"),
    "method cryptographic_erase": ("cryptographic erase", "effacement cryptographique"),
    "choice moved": ("moved", "migré"),
    "choice erased": ("erased, not moved", "effacé sans être migré"),
    "choice exported": ("exported", "exporté"),
    "choice residue": ("residue", "reste"),
    "proof full": ("equal, all of it compared", "identique, entièrement comparé"),
    "proof sampled": ("sampled", "échantillonné"),
    "role customer": ("For the customer", "Pour le client"),
    "role operations": ("For operations", "Pour l'exploitation"),
    "role security": ("For security", "Pour la sécurité"),
    "bound not_before": ("not before", "pas avant"),
    "bound not_after": ("not after", "pas après"),
    "kept not_migrated": ("not migrated", "non migré"),
    "kept not_verified": ("not verified", "non vérifié"),
    "kept not_accepted": ("not accepted", "non recetté"),
    "kept undecided": ("undecided", "non décidé"),
    "kept shared": ("shared", "partagé"),
    "kept held": ("held", "conservé sur injonction"),
    "kept foreign": ("somebody else's", "à quelqu'un d'autre"),
    "kept needed": ("needed by what stays", "nécessaire à ce qui reste"),
    "kept protected": ("protected", "protégé"),
    "kept unreadable": ("could not be read", "illisible"),
    "kept not_an_object": ("not an object that can be deleted", "n'est pas un objet supprimable"),
}
"""Codes that documents use: how they are said in English and in French."""

NOUNS: dict[str, tuple[str, str]] = {
    "workload": ("charge", "charges"),
    "object": ("objet", "objets"),
    "finding": ("constat", "constats"),
    "dependency": ("dépendance", "dépendances"),
    "vCPU": ("vCPU", "vCPU"),
    "volume": ("volume", "volumes"),
    "kind": ("type", "types"),
    "tenant": ("tenant", "tenants"),
    "day": ("jour", "jours"),
    "wave": ("vague", "vagues"),
    "decision": ("décision", "décisions"),
}

PLURALS = {"dependency": "dependencies"}
"""English plurals that are not made with an s."""

TEXTS: dict[str, str] = {
    "All are assessed": "Tous sont évalués",
    "All are assessed, and all will be out in time": "Tous sont évalués, et tous seront sortis à temps",
    "Assessed": "Évalués",
    "Could be read in part only": "Lus en partie seulement",
    "Could not be assessed": "N'ont pas pu être évalués",
    "Days are counted from {day}.": "Les jours sont comptés depuis le {day}.",
    "Deadline": "Échéance",
    "Decisions wanted": "Décisions attendues",
    "Expected end": "Fin prévue",
    "In time": "À temps",
    "In time says yes only where all is read, decided and in a wave that has a window.": (
        "À temps n'est dit que si tout est lu, décidé et dans une vague qui a une fenêtre."
    ),
    "Next deadline": "Prochaine échéance",
    "Not assessed yet": "Pas encore évalués",
    "Not read": "Non lus",
    "Not ready, or not known": "Pas prêtes, ou inconnues",
    "Portfolio": "Portefeuille",
    "Tenant": "Tenant",
    "Tenants": "Tenants",
    "Tenants that wait for a decision": "Tenants en attente d'une décision",
    "Tenants without figures, not counted here": "Tenants sans chiffres, non comptés ici",
    "The figures are those of an earlier assessment.": "Les chiffres sont ceux d'une évaluation antérieure.",
    "What is missing": "Ce qui manque",
    "Will not be out in time": "Ne seront pas sortis à temps",
    "end not known": "fin inconnue",
    "figures from earlier": "chiffres antérieurs",
    "in {n}": "dans {n}",
    "nine of ten by {day}": "neuf fois sur dix le {day}",
    "the last ends": "la dernière finit le",
    "{n} of them for lack of data": "dont {n} faute de données",
    "{n} too late": "{n} de retard",
    "{partial} in part, {failed} failed, {none} not yet": "{partial} en partie, {failed} en échec, {none} pas encore",
    "# of # shown": "# sur # affichées",
    "All that matters is known, and nothing has to be changed.": (
        "Tout ce qui compte est connu, et rien n'est à changer."
    ),
    "Assessment of {tenant}": "Évaluation de {tenant}",
    "Assessment report": "Rapport d'évaluation",
    "Before and after": "Avant et après",
    "Bound by": "Limitée par",
    "Contents": "Sommaire",
    "Decisions wanted from the customer": "Décisions attendues du client",
    "Dependencies between workloads: {edges} between {n}. The table below says the same.": (
        "Dépendances entre les charges : {edges} entre {n}. Le tableau ci-dessous dit la même chose."
    ),
    "Dependencies that lead out": "Dépendances vers l'extérieur",
    "Destination": "Destination",
    "Drafted to move": "Prévues pour migrer",
    "Drafted to move, but in no wave; no time is counted for: {n}": (
        "Prévues pour migrer mais dans aucune vague ; aucun temps n'est compté pour : {n}"
    ),
    "Drawing of the dependencies": "Dessin des dépendances",
    "Estate": "Inventaire",
    "Every service that the cloud names was read completely.": (
        "Tous les services que le cloud annonce ont été lus entièrement."
    ),
    "Everything else, and what becomes of it": "Tout le reste, et ce qu'il devient",
    "Everything is read, and every workload can move as it is": (
        "Tout a été lu, et toutes les charges peuvent migrer telles quelles"
    ),
    "Everything is read, and every workload can move, {n} with changes": (
        "Tout a été lu, et toutes les charges peuvent migrer, dont {n} avec adaptations"
    ),
    "Expected": "Durée prévue",
    "Facts are missing that a judgement needs. It counts as not ready until they are known.": (
        "Il manque des faits pour juger. Compte comme pas prêt tant qu'ils ne sont pas connus."
    ),
    "Fit to width": "Ajuster à la largeur",
    "Fits": "Tient dans la fenêtre",
    "For information": "Pour information",
    "Found": "Trouvés",
    "From": "De",
    "Full size": "Taille réelle",
    "How, and which": "Comment, et lesquels",
    "It can move; what changes is under what somebody must act on or know.": (
        "Peut migrer ; ce qui change est sous ce qu'il faut traiter ou savoir."
    ),
    "Joined by": "Liés par",
    "Kind": "Type",
    "Languages": "Langues",
    "Larger": "Agrandir",
    "Made from what the APIs of the source cloud show, read-only. The same estate and plan give the same page.": (
        "Établi d'après ce que montrent les API du cloud source, en lecture seule. Le même inventaire et le même plan "
        "donnent la même page."
    ),
    "Memory": "Mémoire",
    "Missing": "Manque",
    "Move group": "Groupe de bascule",
    "Move groups": "Groupes de bascule",
    "Nine of ten at most": "Neuf fois sur dix au plus",
    "No answer yet: these workloads wait": "Pas encore de réponse : ces charges attendent",
    "No deadline is given.": "Aucune échéance n'est donnée.",
    "Not all of the tenant could be read: there may be more than is listed here": (
        "Le tenant n'a pas pu être lu en entier : il peut y avoir plus que ce qui est listé ici"
    ),
    "Not known": "Inconnues",
    "Not ready": "Pas prêtes",
    "Nothing is drafted to move yet, so there is no forecast.": (
        "Rien n'est encore prévu pour migrer, donc il n'y a pas de prévision."
    ),
    "Nothing was found that joins workloads. That nothing is known does not mean that there is nothing.": (
        "Rien n'a été trouvé qui lie des charges. Que rien ne soit connu ne veut pas dire qu'il n'y a rien."
    ),
    "Nothing.": "Rien.",
    "Object": "Objet",
    "Objects that wait for the customer's word": "Objets qui attendent la décision du client",
    "Other objects": "Autres objets",
    "Plan": "Plan",
    "Proposed": "Proposition",
    "Rates that are stated and not measured can be wrong by a lot: rehearse.": (
        "Un débit annoncé et non mesuré peut être très faux : faire une répétition."
    ),
    "Read completely, and the tenant has none of them: {n} more": "Lus entièrement, et le tenant n'en a aucun : {n}",
    "Readiness": "Aptitude",
    "Ready": "Prêtes",
    "Search in the table": "Chercher dans le tableau",
    "Service": "Service",
    "Show what joins": "Montrer les liens de",
    "Smaller": "Réduire",
    "Something must be done before it can move.": "Quelque chose est à faire avant de pouvoir migrer.",
    "State": "État",
    "Stored": "Stocké",
    "System": "Système",
    "The cloud does not have here": "Le cloud n'a pas ici",
    "The customer decides where these go": "Le client décide où celles-ci vont",
    "The customer said no to the proposal": "Le client a refusé la proposition",
    "The dependencies as a table": "Les dépendances en tableau",
    "The plan cannot be used before these places are filled in.": (
        "Le plan n'est pas utilisable avant que ces endroits soient remplis."
    ),
    "The same as tables and as data": "La même chose en tableaux et en données",
    "There are no servers in this tenant": "Il n'y a pas de serveur dans ce tenant",
    "These stay in the source and go with it when it is given up. Say so now if something is missed.": (
        "Ceci reste dans la source et disparaît avec elle. C'est le moment de dire si quelque chose manquera."
    ),
    "Time in waves": "Durée des vagues",
    "To": "Vers",
    "To be left by": "À quitter avant le",
    "To copy": "À copier",
    "To the content": "Aller au contenu",
    "Together {expected}; nine of ten times at most {late}.": (
        "Ensemble {expected} ; neuf fois sur dix au plus {late}."
    ),
    "Volumes": "Volumes",
    "Wave": "Vague",
    "Waves": "Vagues",
    "Waves, and how long they take": "Les vagues, et leur durée",
    "Weaker dependencies that are not drawn": "Dépendances plus faibles non dessinées",
    "Weight": "Poids",
    "What": "Quoi",
    "What becomes of them": "Ce qu'ils deviennent",
    "What blocks": "Ce qui bloque",
    "What can move": "Ce qui peut migrer",
    "What changed since the reading before": "Ce qui a changé depuis la lecture précédente",
    "What could not be read": "Ce qui n'a pas pu être lu",
    "What depends on what": "Ce qui dépend de quoi",
    "What happened": "Ce qui s'est passé",
    "What is not known": "Ce qui n'est pas connu",
    "What is still to be filled in": "Ce qui reste à remplir",
    "What must be decided": "Ce qu'il faut décider",
    "What somebody must act on or know": "Ce qu'il faut traiter ou savoir",
    "What that did to the plan": "Effet sur le plan",
    "What these hold is not in this report. An empty list and one that could not be read are not the same.": (
        "Leur contenu n'est pas dans ce rapport. Une liste vide et une liste illisible ne sont pas la même chose."
    ),
    "What to do": "À faire",
    "What will be left behind": "Ce qui sera laissé sur place",
    "Where": "Où",
    "Which": "Lesquelles",
    "Why": "Pourquoi",
    "Window": "Fenêtre",
    "Workload": "Charge",
    "Workloads": "Charges",
    "Workloads of a move group cut over together. What leads out works across both sites until the other end moves.": (
        "Les charges d'un groupe basculent ensemble. Ce qui en sort fonctionne entre les deux sites jusqu'à la bascule "
        "de l'autre bout."
    ),
    "Workloads stand on a ring, those of a move group side by side. Lines join what depends on each other.": (
        "Les charges sont sur un anneau, celles d'un groupe côte à côte. Les lignes joignent ce qui dépend de quoi."
    ),
    "Workloads that are not drafted to move": "Charges non prévues pour migrer",
    "Workloads that nothing known joins to another": "Charges que rien de connu ne lie à une autre",
    "all": "tout",
    "and {n} with changes": "et {n} avec adaptations",
    "as the plan says": "selon le plan",
    "at least": "au moins",
    "between move groups": "entre groupes de bascule",
    "data gap": "données manquantes",
    "drafted to move": "prévue pour migrer",
    "fits": "tient",
    "for lack of data": "faute de données",
    "inside a move group": "dans un groupe de bascule",
    "measured": "mesuré",
    "must cut over together": "doivent basculer ensemble",
    "nine of ten take at most {time}": "neuf fois sur dix au plus {time}",
    "no window": "pas de fenêtre",
    "not known": "inconnu",
    "not set": "non fixée",
    "nothing here can read it": "rien ici ne sait le lire",
    "of memory": "de mémoire",
    "of {n}": "sur {n}",
    "rules that block": "règles bloquantes",
    "stated": "annoncé",
    "talks to": "parle à",
    "too long": "trop longue",
    "vCPU": "vCPU",
    "with their {kind}": "avec leurs {kind}",
    "{n} more": "{n} de plus",
    "{n} more are in no wave": "{n} autres dans aucune vague",
    "{n} more are in the tables beside this report.": "{n} autres sont dans les tableaux joints à ce rapport.",
    "{n} of the facts": "{n} des faits",
    "Cannot be judged for lack of data": "Impossibles à juger faute de données",
    "Cannot move as they are": "Ne peuvent pas migrer telles quelles",
    "{n} of {all}": "{n} sur {all}",
    # certificates
    "Announced": "Annoncé",
    "Backups of the provider": "Sauvegardes du fournisseur",
    "Basis": "Fondement",
    "Bound": "Borne",
    "By": "Par",
    "Certificate of erasure": "Certificat d'effacement",
    "Certificate of migration": "Certificat de migration",
    "Checks passed": "Contrôles réussis",
    "Choice of the customer": "Choix du client",
    "Compare this with the SHA-256 of that file, and the fingerprints above with those that you know:": (
        "Comparer ceci au SHA-256 de ce fichier, et les empreintes ci-dessus à celles que vous connaissez :"
    ),
    "Condition": "Condition",
    "Conditions of the erasure": "Conditions de l'effacement",
    "Contact": "Contact",
    "Contract": "Contrat",
    "Controller": "Responsable du traitement",
    "Could be used until": "Utilisable jusqu'au",
    "Data could be retrieved until": "Données récupérables jusqu'au",
    "Dates": "Dates",
    "Disks and their proof": "Disques et leur preuve",
    "Encrypted copy": "Copie chiffrée",
    "Executed by": "Exécuté par",
    "Begun": "Début",
    "How to verify this without us": "Comment le vérifier sans nous",
    "How, and when": "Comment, et quand",
    "Inventory before": "Inventaire avant",
    "Issued": "Délivré",
    "Judged": "Évaluée",
    "Kept until": "Conservée jusqu'au",
    "Kinds of objects": "Types d'objets",
    "Last record": "Dernier enregistrement",
    "Ledger": "Registre",
    "Legal basis": "Base légale",
    "Made with": "Établi avec",
    "Met, because": "Remplie, car",
    "Method": "Méthode",
    "Migration plan": "Plan de migration",
    "Moment": "Moment",
    "Not certified": "Non certifié",
    "Processor": "Sous-traitant",
    "Projects": "Projets",
    "Regions": "Régions",
    "Retirement policy": "Politique de retrait",
    "Rule": "Règle",
    "Runs": "Exécutions",
    "Sealed plan": "Plan scellé",
    "Source fenced": "Source isolée",
    "The operator of the infrastructure states of its storage media:": (
        "L'opérateur de l'infrastructure déclare de ses supports de stockage :"
    ),
    "The signed data are in {file}; the script verify.sh beside them checks the chain, the signatures and the time "
    "stamps with openssl and ssh-keygen alone.": (
        "Les données signées sont dans {file} ; le script verify.sh livré avec elles contrôle la chaîne, les "
        "signatures et les horodatages avec openssl et ssh-keygen seuls."
    ),
    "Ended": "Fin",
    "Number": "Nombre",
    "Objects": "Objets",
    "Reason": "Motif",
    "Size": "Taille",
    "Target": "Cible",
    "Until": "Jusqu'au",
    "Verification": "Vérification",
    "Verified by": "Vérifié par",
    "Waivers": "Dérogations",
    "What stays, and why": "Ce qui reste, et pourquoi",
    "What this states, and what it does not": "Ce que ceci atteste, et ce que ceci n'atteste pas",
    "What was erased": "Ce qui a été effacé",
    "What was moved": "Ce qui a été migré",
    "Where this comes from": "D'où ceci provient",
    "Why it could go": "Pourquoi il pouvait l'être",
    "key": "clé",
    "made": "créé",
    "read as absent": "relu comme absent",
    "record": "enregistrement",
    "with it": "avec lui",
    # the sheet before signing
    "A date is lacking, so nothing can be erased": "Une date manque : rien ne peut être effacé",
    "Among them": "Dont",
    "An API deletion is no sanitisation of media; there is no recycle bin.": (
        "Une suppression par API n'efface pas les supports ; il n'y a pas de corbeille."
    ),
    "And {entries} that nothing is to be deleted for: quotas, details, parts.": (
        "Et {entries} pour lesquels rien n'est à supprimer : quotas, détails, parties."
    ),
    "Before you sign": "Avant de signer",
    "Can be restored": "Peut être restauré",
    "Data deleted": "Données supprimées",
    "Deleted": "Supprimés",
    "Exceptions": "Dérogations écrites",
    "From when until when": "À partir de quand, jusqu'à quand",
    "Gate": "Condition",
    "Gates as they are now": "Les conditions à ce jour",
    "It is closed": "fermée",
    "It is open": "ouverte",
    "It may not be erased before it is too late: people must decide": (
        "L'effacement n'est permis que lorsqu'il est trop tard : une décision humaine est nécessaire"
    ),
    "Last backup": "Dernière sauvegarde",
    "Last write": "Dernière écriture",
    "Made on {at}, valid until {end}.": "Établi le {at}, valable jusqu'au {end}.",
    "Not after": "Pas après",
    "Not before": "Pas avant",
    "Not moved, and nowhere else afterwards": "Non migrés, et nulle part ailleurs ensuite",
    "Not known yet": "Pas encore connu",
    "Nothing is deleted": "Rien n'est supprimé",
    "Quarantine before": "Quarantaine préalable",
    "Retirement plan": "Plan de retrait",
    "Stays": "Reste",
    "The customer must know until {day} if the transition is not feasible.": (
        "Le client doit savoir au plus tard le {day} si la transition n'est pas réalisable."
    ),
    "What goes because nothing needs it": "Ce qui part parce que plus rien n'en a besoin",
    "What is signed is the file of the plan, byte for byte. Its digest is at the end of this page.": (
        "Ce qui est signé est le fichier du plan, octet pour octet. Son empreinte est à la fin de cette page."
    ),
    "What will be lost": "Ce qui sera perdu",
    "Who and when": "Par qui et quand",
    "all objects": "tous les objets",
    "no end is known": "aucune fin connue",
    "{people} different people must sign.": "{people} personnes différentes doivent signer.",
}

TOLD: dict[str, str] = {
    "its source was not fenced": "sa source n'a pas été isolée",
    "it was rolled back": "la migration a été annulée",
    "Addresses are kept.": "Les adresses sont gardées.",
    "Another tenant may be behind it.": "Un autre tenant peut être derrière.",
    "As placement rules.": "En règles de placement.",
    "By a copy from inside.": "Par une copie de l'intérieur.",
    "By a registry copy.": "Par une copie de registre.",
    "By new addresses.": "Par de nouvelles adresses.",
    "Bytes can be copied to another store.": "Les octets peuvent être copiés vers un autre stockage.",
    "Copy the logs that must be kept.": "Copier les journaux à conserver.",
    "Data by dump or replication.": "Données par export ou réplication.",
    "Data by dump.": "Données par export.",
    "Deploy again from their manifests.": "Redéployer depuis leurs manifestes.",
    "Manual ones keep billing.": "Les sauvegardes manuelles restent facturées.",
    "Names change addresses on the day.": "Les noms changent d'adresse le jour venu.",
    "Not portable: data is encrypted anew.": "Non portables : les données sont chiffrées à nouveau.",
    "Not portable; restore what must be kept.": "Non portables ; restaurer ce qui doit être gardé.",
    "Only the disk as it is moves.": "Seul l'état actuel du disque migre.",
    "Only those used as templates are worth moving.": "Seules celles qui servent de modèles valent d'être migrées.",
    "Order as much at the target.": "En commander autant à la cible.",
    "Public keys are in the guests already.": "Les clés publiques sont déjà dans les machines.",
    "Restore points are not portable.": "Les points de restauration ne sont pas portables.",
    "Suspend before a move.": "À suspendre avant une migration.",
    "Their content is not read.": "Leur contenu n'est pas lu.",
    "Their keys come from the owner.": "Leurs clés viennent du propriétaire.",
    "They cannot be exported.": "Elles ne peuvent pas être exportées.",
    "To an edge gateway.": "Vers une passerelle de bordure.",
    "To storage classes.": "Vers des classes de stockage.",
    "To the edge's NAT.": "Vers le NAT de la passerelle.",
    "To the edge's firewall.": "Vers le pare-feu de la passerelle.",
    "To the firewall.": "Vers le pare-feu.",
    "What they made is listed by itself.": "Ce qu'elles ont créé est listé séparément.",
    "With the other end.": "Avec l'autre extrémité.",
    "Attached to no server: attach it to one if it is to move.": (
        "Attaché à aucun serveur : l'attacher à un serveur s'il doit migrer."
    ),
    "It holds a virtual address.": "Il porte une adresse virtuelle.",
    "Nothing uses it.": "Rien ne l'utilise.",
    "It is the cloud's own.": "Appartient au cloud lui-même.",
    "No workload that moves is on it.": "Aucune charge qui migre n'y est.",
    "not in the plan any more": "n'est plus dans le plan",
    "kept in the plan, since it was edited": "reste dans le plan, car modifié à la main",
    "removed from the plan": "retiré du plan",
    "people removed its workload from the plan": "sa charge a été retirée du plan à la main",
    "decision: move": "décision : déplacé",
    "decision: translate": "décision : transposé",
    "decision: replace": "décision : remplacé",
    "decision: recreate": "décision : recréé à la main",
    "decision: leave": "décision : abandonné sur place",
    "decision: customer": "décision : au choix du client",
    # retirement plans: what can be restored, why something goes or stays
    "can be made again from the estate document": "peut être refait d'après l'inventaire",
    "no recycle bin": "pas de corbeille",
    "nothing once it is deleted: no recycle bin": "rien après la suppression : pas de corbeille",
    "nothing once it is deleted": "rien après la suppression",
    "it is itself a way to restore what it was made of": "il permet lui-même de restaurer ce dont il est issu",
    "the deletion can be cancelled for at least 7 days": "la suppression peut être annulée pendant 7 jours au moins",
    "then nothing that it encrypted can be read again": "ensuite, plus rien de ce qu'elle chiffrait n'est lisible",
    "from its manual backups only": "seulement depuis ses sauvegardes manuelles",
    "from images and backups of it, while they stay": "depuis ses images et sauvegardes, tant qu'elles restent",
    "the public key is not kept": "la clé publique n'est pas gardée",
    "its owner has it": "son propriétaire l'a",
    "from backups of it, while they stay": "depuis ses sauvegardes, tant qu'elles restent",
    "never: the address is given to others": "jamais : l'adresse sera donnée à d'autres",
    "never": "jamais",
    "nothing that stays uses it": "rien de ce qui reste ne l'utilise",
    "the reader host of the migration": "l'hôte de lecture de la migration",
    "the boot disk of the reader host": "le disque système de l'hôte de lecture",
    "nothing shows that it is at the target": "rien ne montre qu'il est à la cible",
    "nobody accepted it at the target yet": "personne ne l'a encore recetté à la cible",
    "it holds data, and nobody decided what becomes of it": "il contient des données, et son sort n'est pas décidé",
    "the project's default": "celui par défaut du projet",
    "it goes with the project": "il part avec le projet",
    "the policy keeps reader hosts": "la politique garde les hôtes de lecture",
    "with all projects": "avec tous les projets",
    "policy: silence of the source after the acceptance": "politique : silence de la source après la recette",
    "policy: the copy outside of the platform was restored once": (
        "politique : la copie externe a été restaurée une fois"
    ),
    "the customer's decision is recorded": "la décision du client est consignée",
    "the inventory is complete, twice the same, and nothing vanished or appeared": (
        "l'inventaire est complet, deux fois identique, rien n'a disparu ni n'est apparu"
    ),
    "everything that goes is accepted, handed over, or erased by a decision": (
        "tout ce qui part est recetté, remis, ou effacé par décision"
    ),
    "what moved was read again on the day, and is at the target": (
        "ce qui a migré a été relu le jour même et se trouve à la cible"
    ),
    "the source was silent since the acceptance": "la source est restée silencieuse depuis la recette",
    "the time has come and is not over": "le moment est venu et n'est pas passé",
    "nothing is held": "rien n'est retenu",
    "the notice of the erasure was delivered, long enough ago": "le préavis d'effacement a été remis assez tôt",
    "the escrow copy exists and was restored once": "la copie externe existe et a été restaurée une fois",
    "nothing is shared with another tenant": "rien n'est partagé avec un autre tenant",
    "enough people signed this plan": "assez de personnes ont signé ce plan",
    "everything is in quarantine, and the cool-off passed without complaint": (
        "tout est en quarantaine, et le délai est passé sans réclamation"
    ),
    "the credential can do this and no more": "l'accès permet ceci et rien de plus",
    "people are there to watch": "des personnes sont là pour surveiller",
    "an exception in the sealed plan stands for it, or for a part of it": (
        "une dérogation du plan scellé en tient lieu, en tout ou en partie"
    ),
    "policy: a hold on everything": "politique : une retenue sur l'ensemble",
    "contract: its last day": "contrat : son dernier jour",
    "platform: its last day, less the margin": "plateforme : son dernier jour, moins la marge",
    "the contract's notice before an erasure": "le préavis du contrat avant un effacement",
    "21 days in ANSSI SecNumCloud 3.2": "21 jours dans ANSSI SecNumCloud 3.2",
    "Data Act 2023/2854, Art. 25(2)(g): at least 30 days after the transition": (
        "Data Act 2023/2854, art. 25(2)(g) : au moins 30 jours après la transition"
    ),
    "Data Act 2023/2854, Art. 25(5): the customer's extension": (
        "Data Act 2023/2854, art. 25(5) : la prolongation du client"
    ),
    "Data Act 2023/2854, Art. 25(3): erasure alone, at the end of the notice": (
        "Data Act 2023/2854, art. 25(3) : effacement seul, à la fin du préavis"
    ),
    "Data Act 2023/2854, Art. 25(2)(h): a later day that both agreed on": (
        "Data Act 2023/2854, art. 25(2)(h) : un jour ultérieur convenu"
    ),
    "French public contracts: copies are destroyed within three months of the return": (
        "marchés publics : copies détruites dans les trois mois suivant la restitution"
    ),
    "the cloud's own": "appartient au cloud",
}
"""Notes of kinds (model/kinds.py) and of objects in the plan, in French."""

PATTERNS: tuple[tuple[str, str], ...] = (
    (r"It belongs to (.+)\.", "Appartient à {0}."),
    (r"workload (\S+)", "charge {0}"),
    (r"workload (\S+), not moved", "charge {0}, non migrée"),
    (r"workload (\S+) follows", "la charge {0} suit"),
    (r"workload (\S+) was edited: compare it", "la charge {0} a été modifiée à la main : la comparer"),
    (
        r"workload (\S+) is kept in the plan, since it was edited",
        "la charge {0} reste dans le plan, car modifiée à la main",
    ),
    (r"(.+) stays", "{0} reste"),
    (
        r"moved to (.+), read back equal at (\S+), accepted by (.+) on (\S+)",
        "migré vers {0}, relu identique le {1}, recetté par {2} le {3}",
    ),
    (r"(.+) decided on (\S+) that it is erased, not moved", "{0} a décidé le {1} de l'effacer sans le migrer"),
    (
        r"(.+) decided on (\S+) that it is erased, not moved: (.+)",
        "{0} a décidé le {1} de l'effacer sans le migrer : {2}",
    ),
    (r"(.+) decided on (\S+) that everything is erased", "{0} a décidé le {1} de tout effacer"),
    (r"(.+), which stays, uses it", "utilisé par {0}, qui reste"),
    (r"it works for (.+), which stays", "il sert {0}, qui reste"),
    (
        r"its deletion takes (.+) along, or may, and that stays",
        "sa suppression emporterait ou pourrait emporter {0}, qui reste",
    ),
    (r"(\S+): must not be empty", "{0} : ne doit pas être vide"),
    (
        r"(\S+): must be set: the target network for '(.+)', which moving workloads use",
        "{0} : à fixer : le réseau cible de {1}, que des charges à migrer utilisent",
    ),
)
"""Texts with something of the tenant in them."""
