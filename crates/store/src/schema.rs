//! The schema. One text; the two engines differ in the name of the bytes type
//! and in how a trigger refuses.

use crate::db::Migration;

macro_rules! tables {
    ($bytes:literal, $empty:literal) => {
        concat!(
            "
-- The lock that orders writers, and the right edge of the tree.
CREATE TABLE head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    frontier ",
            $bytes,
            " NOT NULL,
    at BIGINT NOT NULL
);
INSERT INTO head (id, size, frontier, at) VALUES (1, 0, ",
            $empty,
            ", 0);

-- The log. `statement` and `aside` are sealed under `key_id`, or plain where it is null.
CREATE TABLE entry (
    idx BIGINT NOT NULL PRIMARY KEY,
    digest ",
            $bytes,
            " NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    claimant_id TEXT,
    case_id TEXT,
    item_id TEXT,
    key_id TEXT,
    statement ",
            $bytes,
            " NOT NULL,
    aside ",
            $bytes,
            "
);
CREATE INDEX entry_claimant ON entry (claimant_id, idx);

-- Roots of the tree's tiles: perfect subtrees at levels 8, 16, 24, …
CREATE TABLE node (
    level BIGINT NOT NULL,
    idx BIGINT NOT NULL,
    hash ",
            $bytes,
            " NOT NULL,
    PRIMARY KEY (level, idx)
);

-- One for each batch: the signed tree head, and what its receipts share.
CREATE TABLE checkpoint (
    size BIGINT NOT NULL PRIMARY KEY,
    root ",
            $bytes,
            " NOT NULL,
    at BIGINT NOT NULL,
    note TEXT NOT NULL,
    protected ",
            $bytes,
            " NOT NULL,
    signature ",
            $bytes,
            " NOT NULL
);

-- `<organisation>/<request_id>` or `statement/<content digest>`: one entry for each, for ever.
CREATE TABLE idempotency (
    id TEXT NOT NULL PRIMARY KEY,
    fingerprint ",
            $bytes,
            " NOT NULL,
    first_idx BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    resource TEXT NOT NULL
);

-- What the statements add up to. Rebuilt from them by fsck.
CREATE TABLE state (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    claimant_id TEXT,
    case_id TEXT,
    link TEXT,
    entry BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX state_kind ON state (kind, entry);
CREATE INDEX state_claimant ON state (claimant_id, kind, entry);
CREATE INDEX state_case ON state (case_id, kind, entry);
CREATE INDEX state_link ON state (link, kind, entry);

-- In whose lists a row appears.
CREATE TABLE party (
    org_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    entry BIGINT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (org_id, kind, entry, id)
);

-- Which entries an organisation is told of on Watch.
CREATE TABLE feed (
    org_id TEXT NOT NULL,
    idx BIGINT NOT NULL,
    PRIMARY KEY (org_id, idx)
);

-- Wrapped keys. Erasing is setting `wrapped` to null.
CREATE TABLE sealing_key (
    id TEXT NOT NULL PRIMARY KEY,
    parent TEXT NOT NULL,
    wrapped ",
            $bytes,
            "
);

-- Where an item's bytes are: sealed in `inline`, or in parts under `document_id`.
CREATE TABLE document (
    item_id TEXT NOT NULL PRIMARY KEY,
    document_id TEXT NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    inline ",
            $bytes,
            "
);

-- Uploads under way. Not state: nothing counts as received until its entry is.
CREATE TABLE upload (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL,
    entry TEXT NOT NULL,
    document_id TEXT NOT NULL,
    claimant_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    push ",
            $bytes,
            " NOT NULL,
    wrapped_key ",
            $bytes,
            " NOT NULL,
    expires_at BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    UNIQUE (org_id, entry)
);
CREATE INDEX upload_expiry ON upload (completed, expires_at);
"
        )
    };
}

macro_rules! append_only_sqlite {
    ($($table:literal),*) => {
        concat!($(
            "CREATE TRIGGER ", $table, "_no_update BEFORE UPDATE ON ", $table,
            " BEGIN SELECT RAISE(ABORT, '", $table, " is append-only'); END;\n",
            "CREATE TRIGGER ", $table, "_no_delete BEFORE DELETE ON ", $table,
            " BEGIN SELECT RAISE(ABORT, '", $table, " is append-only'); END;\n",
        )*)
    };
}

macro_rules! append_only_postgres {
    ($($table:literal),*) => {
        concat!(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ",
            "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'ZA001'; END $$;\n",
            $(
                "CREATE TRIGGER ", $table, "_append_only BEFORE UPDATE OR DELETE ON ", $table,
                " FOR EACH ROW EXECUTE FUNCTION refuse_change();\n",
                "CREATE TRIGGER ", $table, "_no_truncate BEFORE TRUNCATE ON ", $table,
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();\n",
            )*
        )
    };
}

pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "journal",
    sqlite: concat!(
        tables!("BLOB", "x'0000000000000000'"),
        append_only_sqlite!("entry", "node", "checkpoint", "idempotency", "feed")
    ),
    postgres: concat!(
        tables!("BYTEA", "'\\x0000000000000000'"),
        append_only_postgres!("entry", "node", "checkpoint", "idempotency", "feed")
    ),
}];
