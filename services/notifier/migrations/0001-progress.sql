-- The last progress told of a sync that is under way, for who comes late or polls. Not a fact; a row may vanish at any time.
create table sync_progress (
  sync_id text primary key,
  progress json not null,
  told_at timestamptz not null default now()
);
