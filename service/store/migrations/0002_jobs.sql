-- How often a job was begun (one that ends the process each time is given up), and how many bytes it takes here.
ALTER TABLE jobs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN bytes    INTEGER NOT NULL DEFAULT 0;
-- Answers the bounds (open jobs of an owner, bytes of all) without reading the documents.
CREATE INDEX jobs_by_owner ON jobs (owner, state, seq, bytes);
