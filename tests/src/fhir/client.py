"""A general FHIR client: knows the standard (R4), nothing of this server, and needs nothing but Python.

    client.py IP PORT ROOTS BASE

Reads the CapabilityStatement, walks every page of every resource that can be searched, reads some of what it found
back, follows their references, and checks what the standard promises. Prints what it saw as JSON; ends with a line on
standard error for the first promise that is not kept.
"""
import http.client
import json
import socket
import ssl
import sys
import urllib.parse

IP, PORT, ROOTS, BASE = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
PATIENCE = 60


class Loopback(http.client.HTTPSConnection):
    """Whatever host is named is at one address; its certificate must be for the name."""

    def connect(self):
        plain = socket.create_connection((IP, PORT), PATIENCE)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def promise(kept, text):
    if not kept:
        sys.exit(f"not as the standard says: {text}")


host = urllib.parse.urlsplit(BASE)
connection = Loopback(host.hostname, host.port or 443, timeout=PATIENCE, context=ssl.create_default_context(cafile=ROOTS))


def ask(url, headers=None, status=200):
    promise(url.startswith(BASE + "/") or url == BASE, f"{url} leads elsewhere")
    parts = urllib.parse.urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"Accept": "application/fhir+json", **(headers or {})})
    answer = connection.getresponse()
    body = answer.read()
    promise(answer.status == status, f"{url}: {answer.status} {body[:300]!r}")
    if status == 304:
        promise(not body, f"{url}: a body with 304")
        return answer, None
    promise(answer.headers.get_content_type() == "application/fhir+json", f"{url}: {answer.headers['Content-Type']}")
    return answer, json.loads(body)


def checked(resource, where):
    """What every resource has; FHIR knows no empty elements (R4, json §2.6.2)."""
    promise(resource.get("resourceType"), f"{where}: no resourceType")

    def walk(value, path):
        promise(value not in ("", [], {}, None), f"{where}: {path} is empty")
        for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            walk(below, f"{path}.{key}")

    walk(resource, resource["resourceType"])


_, statement = ask(f"{BASE}/metadata")
promise(statement["resourceType"] == "CapabilityStatement" and statement["fhirVersion"].startswith("4."), "no statement")
seen = {}
for resource in statement["rest"][0]["resource"]:
    kind = resource["type"]
    offered = {interaction["code"] for interaction in resource["interaction"]}
    promise("search-type" in offered, f"{kind} cannot be searched")
    found, references, pages, totals = [], set(), 0, set()
    url = f"{BASE}/{kind}?_count=100"
    while url:
        _, bundle = ask(url)
        checked(bundle, url)
        promise(bundle["resourceType"] == "Bundle" and bundle["type"] == "searchset", f"{url}: no searchset")
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        promise("self" in links, f"{url}: no self link")
        totals.add(bundle.get("total"))
        for entry in bundle.get("entry", []):
            mode = entry["search"]["mode"]
            promise(mode in ("match", "include", "outcome"), f"{url}: mode {mode}")
            if mode != "match":
                continue
            one = entry["resource"]
            promise(one["resourceType"] == kind, f"{url}: a {one['resourceType']} matches")
            promise(entry["fullUrl"] == f"{BASE}/{kind}/{one['id']}", f"{url}: fullUrl {entry['fullUrl']}")
            found.append(one)
            for name in ("practitioner", "organization", "partOf", "providedBy"):
                references.update([one[name]["reference"]] if "reference" in one.get(name, {}) else [])
        pages, url = pages + 1, links.get("next")
    ids = [one["id"] for one in found]
    promise(len(ids) == len(set(ids)), f"{kind}: somebody is on two pages")
    promise(totals <= {None, len(ids)} and len(totals) == 1, f"{kind}: totals {totals}, {len(ids)} were shown")
    if "read" in offered:
        for one in found[:: max(1, len(found) // 5)]:
            answer, again = ask(f"{BASE}/{kind}/{one['id']}")
            promise(again == one, f"{kind}/{one['id']}: reading shows something else than searching")
            ask(f"{BASE}/{kind}/{one['id']}", {"If-None-Match": answer.headers["ETag"]}, 304)
            _, old = ask(f"{BASE}/{kind}/{one['id']}/_history/{one['meta']['versionId']}")
            promise(old == one, f"{kind}/{one['id']}: its version is another")
        ask(f"{BASE}/{kind}/no-such-id", status=404)
    followed = sorted(references)[:: max(1, len(references) // 10)]
    for reference in followed:
        _, target = ask(f"{BASE}/{reference}")
        promise(reference == f"{target['resourceType']}/{target['id']}", f"{reference} is {target['id']}")
    seen[kind] = {"count": len(ids), "pages": pages, "references": len(followed)}
json.dump(seen, sys.stdout)
