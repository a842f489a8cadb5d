-- What each followed ref points to by its last sync that ended without failing. Told by the log; guarded by its position.
create table fetcher_heads (
  codebase_id uuid not null,
  ref text not null,
  -- Null for the empty repository, and for a deleted ref.
  commit_id text,
  is_deleted boolean not null,
  sync_id uuid not null,
  position text not null,
  primary key (codebase_id, ref)
);
