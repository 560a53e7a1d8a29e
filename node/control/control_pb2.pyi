from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Nothing(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Fault(_message.Message):
    __slots__ = ("kind", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class BaseChoice(_message.Message):
    __slots__ = ("folder", "root", "manifest", "locations", "result")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    folder: bytes
    root: bytes
    manifest: bytes
    locations: _containers.RepeatedScalarFieldContainer[str]
    result: bytes
    def __init__(self, folder: _Optional[bytes] = ..., root: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., locations: _Optional[_Iterable[str]] = ..., result: _Optional[bytes] = ...) -> None: ...

class Times(_message.Message):
    __slots__ = ("commit_opens", "commit_closes", "reveal_closes", "roster_closes", "merge_closes")
    COMMIT_OPENS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_CLOSES_FIELD_NUMBER: _ClassVar[int]
    REVEAL_CLOSES_FIELD_NUMBER: _ClassVar[int]
    ROSTER_CLOSES_FIELD_NUMBER: _ClassVar[int]
    MERGE_CLOSES_FIELD_NUMBER: _ClassVar[int]
    commit_opens: int
    commit_closes: int
    reveal_closes: int
    roster_closes: int
    merge_closes: int
    def __init__(self, commit_opens: _Optional[int] = ..., commit_closes: _Optional[int] = ..., reveal_closes: _Optional[int] = ..., roster_closes: _Optional[int] = ..., merge_closes: _Optional[int] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("keys", "contributions_per_key", "contributions", "bytes_each", "bytes_total", "max_norm", "licences", "domains")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_PER_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    BYTES_EACH_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MAX_NORM_FIELD_NUMBER: _ClassVar[int]
    LICENCES_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    contributions_per_key: int
    contributions: int
    bytes_each: int
    bytes_total: int
    max_norm: str
    licences: _containers.RepeatedScalarFieldContainer[str]
    domains: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., contributions_per_key: _Optional[int] = ..., contributions: _Optional[int] = ..., bytes_each: _Optional[int] = ..., bytes_total: _Optional[int] = ..., max_norm: _Optional[str] = ..., licences: _Optional[_Iterable[str]] = ..., domains: _Optional[_Iterable[str]] = ...) -> None: ...

class Draft(_message.Message):
    __slots__ = ("title", "description", "base", "recipe", "tolerance", "seed", "kinds", "stewards", "times", "terms")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    STEWARDS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    title: str
    description: str
    base: BaseChoice
    recipe: str
    tolerance: str
    seed: bytes
    kinds: _containers.RepeatedScalarFieldContainer[str]
    stewards: _containers.RepeatedScalarFieldContainer[bytes]
    times: Times
    terms: Terms
    def __init__(self, title: _Optional[str] = ..., description: _Optional[str] = ..., base: _Optional[_Union[BaseChoice, _Mapping]] = ..., recipe: _Optional[str] = ..., tolerance: _Optional[str] = ..., seed: _Optional[bytes] = ..., kinds: _Optional[_Iterable[str]] = ..., stewards: _Optional[_Iterable[bytes]] = ..., times: _Optional[_Union[Times, _Mapping]] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ...) -> None: ...

class RoundOrder(_message.Message):
    __slots__ = ("round",)
    ROUND_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    def __init__(self, round: _Optional[bytes] = ...) -> None: ...

class ShowRoundOrder(_message.Message):
    __slots__ = ("round", "skip")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    skip: int
    def __init__(self, round: _Optional[bytes] = ..., skip: _Optional[int] = ...) -> None: ...

class FollowOrder(_message.Message):
    __slots__ = ("round", "role")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    role: str
    def __init__(self, round: _Optional[bytes] = ..., role: _Optional[str] = ...) -> None: ...

class CanJoinOrder(_message.Message):
    __slots__ = ("round", "expert", "kind", "domain", "licence", "size")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    expert: bytes
    kind: str
    domain: str
    licence: str
    size: int
    def __init__(self, round: _Optional[bytes] = ..., expert: _Optional[bytes] = ..., kind: _Optional[str] = ..., domain: _Optional[str] = ..., licence: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("suite", "metric", "score", "items")
    SUITE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    suite: str
    metric: str
    score: str
    items: int
    def __init__(self, suite: _Optional[str] = ..., metric: _Optional[str] = ..., score: _Optional[str] = ..., items: _Optional[int] = ...) -> None: ...

class ContributeOrder(_message.Message):
    __slots__ = ("round", "expert", "kind", "domain", "licence", "title", "claims", "derived_from", "dry_run")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    DERIVED_FROM_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    expert: bytes
    kind: str
    domain: str
    licence: str
    title: str
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    derived_from: _containers.RepeatedScalarFieldContainer[bytes]
    dry_run: bool
    def __init__(self, round: _Optional[bytes] = ..., expert: _Optional[bytes] = ..., kind: _Optional[str] = ..., domain: _Optional[str] = ..., licence: _Optional[str] = ..., title: _Optional[str] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., derived_from: _Optional[_Iterable[bytes]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class WithdrawOrder(_message.Message):
    __slots__ = ("contribution", "reason")
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    contribution: bytes
    reason: str
    def __init__(self, contribution: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class ReviseOrder(_message.Message):
    __slots__ = ("round", "reason")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    reason: str
    def __init__(self, round: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class PullOrder(_message.Message):
    __slots__ = ("what", "out", "revision")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    OUT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    what: bytes
    out: bytes
    revision: int
    def __init__(self, what: _Optional[bytes] = ..., out: _Optional[bytes] = ..., revision: _Optional[int] = ...) -> None: ...

class BlobOrder(_message.Message):
    __slots__ = ("blob", "round")
    BLOB_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    blob: bytes
    round: bytes
    def __init__(self, blob: _Optional[bytes] = ..., round: _Optional[bytes] = ...) -> None: ...

class SmallBlob(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class MaterialiseOrder(_message.Message):
    __slots__ = ("manifest", "folder", "tensors", "round")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    manifest: bytes
    folder: bytes
    tensors: _containers.RepeatedScalarFieldContainer[str]
    round: bytes
    def __init__(self, manifest: _Optional[bytes] = ..., folder: _Optional[bytes] = ..., tensors: _Optional[_Iterable[str]] = ..., round: _Optional[bytes] = ...) -> None: ...

class LogOrder(_message.Message):
    __slots__ = ("lines", "follow")
    LINES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    lines: int
    follow: bool
    def __init__(self, lines: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("what", "done", "total", "unit")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    what: str
    done: int
    total: int
    unit: str
    def __init__(self, what: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., unit: _Optional[str] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("round",)
    ROUND_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    def __init__(self, round: _Optional[bytes] = ...) -> None: ...

class Offered(_message.Message):
    __slots__ = ("contribution", "kind", "root", "size", "norm", "next")
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NORM_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    contribution: bytes
    kind: str
    root: bytes
    size: int
    norm: str
    next: str
    def __init__(self, contribution: _Optional[bytes] = ..., kind: _Optional[str] = ..., root: _Optional[bytes] = ..., size: _Optional[int] = ..., norm: _Optional[str] = ..., next: _Optional[str] = ...) -> None: ...

class Pulled(_message.Message):
    __slots__ = ("folder", "root", "manifest", "round", "revision", "fetched_bytes", "seconds")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    folder: bytes
    root: bytes
    manifest: bytes
    round: bytes
    revision: int
    fetched_bytes: int
    seconds: float
    def __init__(self, folder: _Optional[bytes] = ..., root: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., round: _Optional[bytes] = ..., revision: _Optional[int] = ..., fetched_bytes: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class Materialised(_message.Message):
    __slots__ = ("folder", "root", "fetched_bytes", "seconds")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    folder: bytes
    root: bytes
    fetched_bytes: int
    seconds: float
    def __init__(self, folder: _Optional[bytes] = ..., root: _Optional[bytes] = ..., fetched_bytes: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class Revising(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class OpenRoundItem(_message.Message):
    __slots__ = ("progress", "opened")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    opened: Opened
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., opened: _Optional[_Union[Opened, _Mapping]] = ...) -> None: ...

class WatchRoundItem(_message.Message):
    __slots__ = ("progress", "event")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    event: Event
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class ContributeItem(_message.Message):
    __slots__ = ("progress", "offered")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    offered: Offered
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., offered: _Optional[_Union[Offered, _Mapping]] = ...) -> None: ...

class PullItem(_message.Message):
    __slots__ = ("progress", "pulled")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PULLED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    pulled: Pulled
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., pulled: _Optional[_Union[Pulled, _Mapping]] = ...) -> None: ...

class MaterialiseItem(_message.Message):
    __slots__ = ("progress", "materialised")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MATERIALISED_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    materialised: Materialised
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., materialised: _Optional[_Union[Materialised, _Mapping]] = ...) -> None: ...

class Who(_message.Message):
    __slots__ = ("point", "name", "peer_id")
    POINT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    point: bytes
    name: str
    peer_id: str
    def __init__(self, point: _Optional[bytes] = ..., name: _Optional[str] = ..., peer_id: _Optional[str] = ...) -> None: ...

class Disk(_message.Message):
    __slots__ = ("used", "quota", "free")
    USED_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    used: int
    quota: int
    free: int
    def __init__(self, used: _Optional[int] = ..., quota: _Optional[int] = ..., free: _Optional[int] = ...) -> None: ...

class JobView(_message.Message):
    __slots__ = ("id", "round", "what", "state", "attempts", "progress", "trouble")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    round: bytes
    what: str
    state: str
    attempts: int
    progress: Progress
    trouble: str
    def __init__(self, id: _Optional[str] = ..., round: _Optional[bytes] = ..., what: _Optional[str] = ..., state: _Optional[str] = ..., attempts: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., trouble: _Optional[str] = ...) -> None: ...

class RoundSummary(_message.Message):
    __slots__ = ("id", "title", "convener", "roles", "phase", "phase_ends", "contributions", "stewards", "quorum", "root", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CONVENER_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PHASE_ENDS_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    STEWARDS_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    title: str
    convener: Who
    roles: _containers.RepeatedScalarFieldContainer[str]
    phase: str
    phase_ends: float
    contributions: int
    stewards: int
    quorum: int
    root: bytes
    revision: int
    def __init__(self, id: _Optional[bytes] = ..., title: _Optional[str] = ..., convener: _Optional[_Union[Who, _Mapping]] = ..., roles: _Optional[_Iterable[str]] = ..., phase: _Optional[str] = ..., phase_ends: _Optional[float] = ..., contributions: _Optional[int] = ..., stewards: _Optional[int] = ..., quorum: _Optional[int] = ..., root: _Optional[bytes] = ..., revision: _Optional[int] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("version", "who", "home", "addresses", "exchange", "uptime_seconds", "paused", "peers", "rounds", "jobs", "disk")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    version: str
    who: Who
    home: bytes
    addresses: _containers.RepeatedScalarFieldContainer[str]
    exchange: str
    uptime_seconds: float
    paused: bool
    peers: int
    rounds: _containers.RepeatedCompositeFieldContainer[RoundSummary]
    jobs: _containers.RepeatedCompositeFieldContainer[JobView]
    disk: Disk
    def __init__(self, version: _Optional[str] = ..., who: _Optional[_Union[Who, _Mapping]] = ..., home: _Optional[bytes] = ..., addresses: _Optional[_Iterable[str]] = ..., exchange: _Optional[str] = ..., uptime_seconds: _Optional[float] = ..., paused: _Optional[bool] = ..., peers: _Optional[int] = ..., rounds: _Optional[_Iterable[_Union[RoundSummary, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[JobView, _Mapping]]] = ..., disk: _Optional[_Union[Disk, _Mapping]] = ...) -> None: ...

class PeerView(_message.Message):
    __slots__ = ("who", "address", "connected", "trouble")
    WHO_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    who: Who
    address: str
    connected: bool
    trouble: str
    def __init__(self, who: _Optional[_Union[Who, _Mapping]] = ..., address: _Optional[str] = ..., connected: _Optional[bool] = ..., trouble: _Optional[str] = ...) -> None: ...

class PeerList(_message.Message):
    __slots__ = ("peers",)
    PEERS_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedCompositeFieldContainer[PeerView]
    def __init__(self, peers: _Optional[_Iterable[_Union[PeerView, _Mapping]]] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("at", "level", "source", "text")
    AT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at: float
    level: str
    source: str
    text: str
    def __init__(self, at: _Optional[float] = ..., level: _Optional[str] = ..., source: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class StewardView(_message.Message):
    __slots__ = ("who", "state", "since", "root")
    WHO_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    who: Who
    state: str
    since: float
    root: bytes
    def __init__(self, who: _Optional[_Union[Who, _Mapping]] = ..., state: _Optional[str] = ..., since: _Optional[float] = ..., root: _Optional[bytes] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("id", "author", "mine", "kind", "title", "domain", "licence", "size", "norm", "claims", "state", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    MINE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NORM_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    author: Who
    mine: bool
    kind: str
    title: str
    domain: str
    licence: str
    size: int
    norm: str
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    state: str
    reason: str
    def __init__(self, id: _Optional[bytes] = ..., author: _Optional[_Union[Who, _Mapping]] = ..., mine: _Optional[bool] = ..., kind: _Optional[str] = ..., title: _Optional[str] = ..., domain: _Optional[str] = ..., licence: _Optional[str] = ..., size: _Optional[int] = ..., norm: _Optional[str] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class OutcomeView(_message.Message):
    __slots__ = ("id", "revision", "author", "roster", "root", "manifest", "contributions", "endorsed_by", "removed", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    ENDORSED_BY_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    revision: int
    author: Who
    roster: bytes
    root: bytes
    manifest: bytes
    contributions: int
    endorsed_by: _containers.RepeatedCompositeFieldContainer[Who]
    removed: _containers.RepeatedScalarFieldContainer[bytes]
    reason: str
    def __init__(self, id: _Optional[bytes] = ..., revision: _Optional[int] = ..., author: _Optional[_Union[Who, _Mapping]] = ..., roster: _Optional[bytes] = ..., root: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., contributions: _Optional[int] = ..., endorsed_by: _Optional[_Iterable[_Union[Who, _Mapping]]] = ..., removed: _Optional[_Iterable[bytes]] = ..., reason: _Optional[str] = ...) -> None: ...

class BaseView(_message.Message):
    __slots__ = ("root", "manifest", "locations", "result", "here")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    HERE_FIELD_NUMBER: _ClassVar[int]
    root: bytes
    manifest: bytes
    locations: _containers.RepeatedScalarFieldContainer[str]
    result: bytes
    here: bool
    def __init__(self, root: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., locations: _Optional[_Iterable[str]] = ..., result: _Optional[bytes] = ..., here: _Optional[bool] = ...) -> None: ...

class RoundDetail(_message.Message):
    __slots__ = ("summary", "description", "base", "recipe", "tolerance", "seed", "kinds", "times", "reveal_opens", "terms", "stewards", "commitments", "entries", "total_entries", "outcomes")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    REVEAL_OPENS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    STEWARDS_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    summary: RoundSummary
    description: str
    base: BaseView
    recipe: str
    tolerance: str
    seed: bytes
    kinds: _containers.RepeatedScalarFieldContainer[str]
    times: Times
    reveal_opens: float
    terms: Terms
    stewards: _containers.RepeatedCompositeFieldContainer[StewardView]
    commitments: int
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    total_entries: int
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeView]
    def __init__(self, summary: _Optional[_Union[RoundSummary, _Mapping]] = ..., description: _Optional[str] = ..., base: _Optional[_Union[BaseView, _Mapping]] = ..., recipe: _Optional[str] = ..., tolerance: _Optional[str] = ..., seed: _Optional[bytes] = ..., kinds: _Optional[_Iterable[str]] = ..., times: _Optional[_Union[Times, _Mapping]] = ..., reveal_opens: _Optional[float] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., stewards: _Optional[_Iterable[_Union[StewardView, _Mapping]]] = ..., commitments: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., total_entries: _Optional[int] = ..., outcomes: _Optional[_Iterable[_Union[OutcomeView, _Mapping]]] = ...) -> None: ...

class RoundList(_message.Message):
    __slots__ = ("rounds",)
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    rounds: _containers.RepeatedCompositeFieldContainer[RoundSummary]
    def __init__(self, rounds: _Optional[_Iterable[_Union[RoundSummary, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("round", "at", "what", "text", "subject")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    round: bytes
    at: float
    what: str
    text: str
    subject: bytes
    def __init__(self, round: _Optional[bytes] = ..., at: _Optional[float] = ..., what: _Optional[str] = ..., text: _Optional[str] = ..., subject: _Optional[bytes] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("word", "text")
    WORD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    word: str
    text: str
    def __init__(self, word: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Obstacles(_message.Message):
    __slots__ = ("reasons",)
    REASONS_FIELD_NUMBER: _ClassVar[int]
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    def __init__(self, reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ...) -> None: ...

class OfferView(_message.Message):
    __slots__ = ("id", "round", "round_title", "kind", "domain", "title", "state", "reason", "since", "next", "next_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ROUND_TITLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    round: bytes
    round_title: str
    kind: str
    domain: str
    title: str
    state: str
    reason: str
    since: float
    next: str
    next_at: float
    def __init__(self, id: _Optional[bytes] = ..., round: _Optional[bytes] = ..., round_title: _Optional[str] = ..., kind: _Optional[str] = ..., domain: _Optional[str] = ..., title: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., next: _Optional[str] = ..., next_at: _Optional[float] = ...) -> None: ...

class OfferList(_message.Message):
    __slots__ = ("offers",)
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[OfferView]
    def __init__(self, offers: _Optional[_Iterable[_Union[OfferView, _Mapping]]] = ...) -> None: ...
