"""Service Quotas: what `quotas.py` lists, with the values that the rules use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from enaxp.local.strict.access.guard import require_allowed
from enaxp.local.strict.quotas import LISTED, Listed, Quotas
from enaxp.local.strict.world import current

if TYPE_CHECKING:
    from mypy_boto3_service_quotas.type_defs import ServiceQuotaTypeDef


class StrictServiceQuotasResponse(ServiceQuotasResponse):
    """Reads only."""

    def call_action(self) -> Any:
        with current().lock:
            require_allowed(self, "servicequotas")
            return super().call_action()

    def get_service_quota(self) -> str:
        return json.dumps({"Quota": self._shown(self._asked(), current().quotas)})

    def get_aws_default_service_quota(self) -> str:
        return json.dumps({"Quota": self._shown(self._asked(), Quotas())})

    def list_service_quotas(self) -> str:
        service = json.loads(self.body).get("ServiceCode")
        return json.dumps({"Quotas": [self._shown(q, current().quotas) for q in LISTED if q.service == service]})

    def _asked(self) -> Listed:
        body = json.loads(self.body)
        for quota in LISTED:
            if (quota.service, quota.code) == (body.get("ServiceCode"), body.get("QuotaCode")):
                return quota
        raise NoSuchResource

    def _shown(self, quota: Listed, values: Quotas) -> ServiceQuotaTypeDef:
        return {
            "ServiceCode": quota.service,
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "QuotaArn": f"arn:aws:servicequotas:{self.region}:{self.current_account}:{quota.service}/{quota.code}",
            "Value": float(getattr(values, quota.field)),
            "Adjustable": True,
            "GlobalQuota": False,
        }
