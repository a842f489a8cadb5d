create table bus_checkpoints (
  group_name text primary key,
  position text not null,
  saved_at timestamptz not null default now()
);

-- Facts of parked keys, whole: so that redriving needs no way to read the log at a position.
create table bus_parked (
  group_name text not null,
  key text not null,
  position text not null,
  fact text not null,
  -- Null for facts that only wait behind the one that could not be worked on.
  reason text,
  since timestamptz not null,
  is_redriven boolean not null default false,
  primary key (group_name, position)
);

create index bus_parked_by_key on bus_parked (key, group_name);
