-- Times are microseconds since 1970-01-01T00:00:00Z. Documents are JSON text.

-- `uid` is never used twice, so that a fleet deleted and put again is another one to everybody who remembers it.
CREATE TABLE fleets (
    uid      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    version  INTEGER NOT NULL,
    document TEXT    NOT NULL,
    state    TEXT,
    created  INTEGER NOT NULL,
    changed  INTEGER NOT NULL
) STRICT;

CREATE TABLE plans (
    fleet     INTEGER NOT NULL REFERENCES fleets (uid) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    cause     TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    summary   TEXT    NOT NULL,
    result    TEXT    NOT NULL,
    PRIMARY KEY (fleet, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE turns (
    fleet  INTEGER NOT NULL REFERENCES fleets (uid) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (fleet, number)
) STRICT, WITHOUT ROWID;

-- Events outlive their fleet: the last one says that it was deleted.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet  TEXT,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    body   TEXT    NOT NULL
) STRICT;
CREATE INDEX events_of_fleet ON events (fleet, id);

CREATE TABLE samples (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet     INTEGER NOT NULL REFERENCES fleets (uid) ON DELETE CASCADE,
    zone      TEXT    NOT NULL,
    source    TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    signal    TEXT    NOT NULL,
    begins    INTEGER NOT NULL,
    ends      INTEGER NOT NULL,
    grams     REAL    NOT NULL,
    estimated INTEGER NOT NULL,
    issued    INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    UNIQUE (fleet, zone, source, kind, begins)
) STRICT;

CREATE TABLE telemetry (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet  TEXT,
    device TEXT,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL
) STRICT;
CREATE INDEX telemetry_of_device ON telemetry (fleet, device, id);

-- `owner` is whoever asked; `dedup` the key under which the same question of theirs is asked only once.
CREATE TABLE jobs (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    owner       TEXT    NOT NULL,
    dedup       TEXT,
    fingerprint TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    request     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    best        TEXT,
    created     INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    UNIQUE (owner, dedup)
) STRICT;
CREATE INDEX jobs_by_expiry ON jobs (expires);
CREATE INDEX jobs_by_state ON jobs (state, priority, seq);
