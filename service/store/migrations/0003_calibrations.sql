-- What boards taught about predictions: the newest state, and the one that the fleet's options were last priced with.
CREATE TABLE calibrations (
    fleet  INTEGER PRIMARY KEY REFERENCES fleets (uid) ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    learnt BLOB    NOT NULL,
    used   BLOB
) STRICT;
