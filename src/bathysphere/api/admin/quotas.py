"""Quotas of an organisation, its workspaces and keys; this resource is ours. Changes hold from the next check on."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.lists import USUAL, AfterId, Limit, not_found
from bathysphere.api.described import failures
from bathysphere.api.services import Storage, Storing
from bathysphere.store import quota_use
from bathysphere.store import quotas as store
from bathysphere.store.admin_keys import Administrator
from bathysphere.store.quotas import Quota, Subject, UnusableLimit
from bathysphere.wire.errors import InvalidRequest, NotFound
from bathysphere.wire.quotas import QuotaDeleted, QuotaInfo, QuotaLimits, QuotaList, QuotaUse

router = APIRouter(prefix=f"{PREFIX}/quotas", tags=["admin"], route_class=AdminRoute, responses=failures())


@router.get("")
async def list_quotas(admin: Admin, storing: Storing, limit: Limit = USUAL, after_id: AfterId = None) -> QuotaList:
    """Every quota of the organisation that has a limit, and what of it has been used."""
    found = await store.list_all(storing.database, admin.organization_id)
    start = 0
    if after_id is not None:
        ids = [quota.subject.id for quota in found]
        if after_id not in ids:
            raise InvalidRequest(f"after_id: {not_found('Quota', after_id)}")
        start = ids.index(after_id) + 1
    page = found[start : start + limit]
    return QuotaList(
        data=[await _shown(storing, quota) for quota in page],
        has_more=start + limit < len(found),
        last_id=page[-1].subject.id if page else None,
    )


@router.get("/{subject_id}", responses=failures(404))
async def show_quota(subject_id: str, admin: Admin, storing: Storing) -> QuotaInfo:
    """What the organisation, workspace or API key of this id may use, and what it has used."""
    subject = await _subject(subject_id, admin, storing)
    return await _shown(storing, await store.get(storing.database, subject))


@router.post("/{subject_id}", responses=failures(404))
async def update_quota(subject_id: str, body: QuotaLimits, admin: Admin, storing: Storing) -> QuotaInfo:
    """Set limits: those that are not given stay as they are, null takes one away."""
    subject = await _subject(subject_id, admin, storing)
    try:
        changed = await store.change(storing.database, subject, body.model_dump(exclude_unset=True))
    except UnusableLimit as error:
        raise InvalidRequest(str(error)) from error
    return await _shown(storing, changed)


@router.delete("/{subject_id}", responses=failures(404))
async def delete_quota(subject_id: str, admin: Admin, storing: Storing) -> QuotaDeleted:
    """Take all limits away; twice is no error."""
    await store.clear(storing.database, await _subject(subject_id, admin, storing))
    return QuotaDeleted(subject_id=subject_id)


async def _subject(subject_id: str, admin: Administrator, storing: Storage) -> Subject:
    found = await store.subject(storing.database, subject_id, admin.organization_id)
    if found is None:
        raise NotFound(not_found("Organization, workspace or API key", subject_id))
    return found


async def _shown(storing: Storage, quota: Quota) -> QuotaInfo:
    used = await quota_use.use(storing.database, quota.subject)
    return QuotaInfo(
        subject_id=quota.subject.id,
        subject_type=quota.subject.kind,
        name=quota.subject.name,
        limits=QuotaLimits(**asdict(quota.limits)),
        used=QuotaUse(**asdict(used)),
        updated_at=quota.updated_at,
    )
