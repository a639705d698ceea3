"""Documents: moto's, behind AWS's rules."""

from __future__ import annotations

import time

from moto.core.responses import ActionResult

from enaxp.local.strict.ssm.base import SsmActions, born_key, is_being_made
from enaxp.local.strict.ssm.content import RefusedBySsm, check_content, check_name
from enaxp.local.strict.world import current

FILTERS = {"Owner", "Name", "DocumentType", "PlatformTypes", "TargetType"}


class DocumentActions(SsmActions):
    """Create, describe, list, update, delete."""

    def create_document(self) -> ActionResult:
        name = self._get_param("Name") or ""
        check_name(name)
        check_content(self._get_param("Content") or "")
        if self._get_param("DocumentType") != "Command":
            raise RefusedBySsm("InvalidDocumentContent", "the local AWS only knows documents of type Command")
        result = super().create_document()
        current().born[born_key(name)] = time.monotonic()
        return _with_status(result, "DocumentDescription")

    def describe_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return _with_status(super().describe_document(), "Document")

    def get_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return super().get_document()

    def list_documents(self) -> ActionResult:
        """moto knows no filter by tag."""
        world, filters = current(), list(self._get_param("Filters") or [])
        by_tag = {f["Key"].removeprefix("tag:"): f["Values"] for f in filters if f["Key"].startswith("tag:")}
        rest = [dict(f) for f in filters if not f["Key"].startswith("tag:")]
        for f in rest:
            if f["Key"] not in FILTERS:
                raise RefusedBySsm("InvalidFilterKey", f"The filter key {f['Key']} is not valid")
        found, _ = self.ssm_backend.list_documents(document_filter_list=None, filters=rest, max_results=10_000)
        kept = []
        for item in found:
            tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
            fits = all(tags.get(key) in values for key, values in by_tag.items())
            if fits and not (by_tag and world.is_blind_to(born_key(item["Name"]))):
                kept.append(item)
        page, token = self._page(kept, 10)
        return ActionResult({"DocumentIdentifiers": page, "NextToken": token})

    def update_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        check_content(self._get_param("Content") or "")
        return super().update_document()

    def update_document_default_version(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return super().update_document_default_version()

    def delete_document(self) -> ActionResult:
        name = self._require_document(self._get_param("Name"))
        users = [a.id for a in self._runs.associations.values() if (a.region, a.document) == (self.region, name)]
        if users:
            message = f"You must disassociate a document before you can delete it: {', '.join(users)}"
            raise RefusedBySsm("AssociatedInstances", message)
        return super().delete_document()


def _with_status(result: ActionResult, member: str) -> ActionResult:
    """A new document is being made for a moment."""
    described = result.result[member]
    if is_being_made(current(), described["Name"]):
        described["Status"] = "Creating"
    return result
