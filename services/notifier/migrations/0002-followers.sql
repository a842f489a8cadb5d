-- Durable followers: what each holds, and what it is to be told. Not facts: a follower is between us and its client.
create table followers (
  follower_id text primary key,
  actor_kind text not null,
  actor_id text not null,
  name text not null,
  -- As the client gave it: codebases, project or all; refs.
  scope json not null,
  created_at text not null,
  -- Raised when a snapshot takes the place of what was held: cursors of before are worth nothing.
  generation int not null default 1,
  -- The first plan tells no access-granted: what is readable from the beginning was not given later.
  has_begun boolean not null default false,
  last_seq bigint not null default 0,
  -- Groups up to here are acknowledged and folded; of the next one, the entries up to this path.
  acked_seq bigint not null default 0,
  acked_path bytea,
  last_ack_at text,
  -- What held and queue together stand for; null while the queue does not take all of the difference.
  planned_position text,
  held_position text,
  -- The snapshot that was acknowledged last, and the group that it stands behind.
  adopted_snapshot text,
  adopted_seq bigint,
  -- The newest look that it was planned from: tables that are being built anew stand before it.
  seen_epoch text,
  seen_position text not null default '',
  unique (actor_kind, actor_id, name)
);

-- What the client has acknowledged to hold. The ref '' stands for the codebase itself, refs or none.
create table follower_refs (
  follower_id text not null references followers on delete cascade,
  codebase_id text not null,
  ref text not null,
  commit_id text,
  tree_id text,
  position text,
  primary key (follower_id, codebase_id, ref)
);

-- What is to be told next, in order: each group brings one ref from one tree to another, or gives or takes a codebase.
create table follower_groups (
  follower_id text not null references followers on delete cascade,
  seq bigint not null,
  kind text not null,
  codebase_id text not null,
  ref text not null,
  from_commit text,
  from_tree text,
  to_commit text,
  to_tree text,
  position text not null,
  primary key (follower_id, seq)
);

-- What a snapshot showed, until it is acknowledged, or too old.
create table follower_snapshots (
  follower_id text not null references followers on delete cascade,
  snapshot_id text not null,
  position text not null,
  vector json not null,
  taken_at timestamptz not null default now(),
  primary key (follower_id, snapshot_id)
);

create table follower_webhooks (
  follower_id text primary key references followers on delete cascade,
  url text not null,
  -- active, disabled (the receiver said 410)
  state text not null default 'active',
  failures int not null default 0,
  -- Grows with every sending, so that a receiver knows one that was on its way for long.
  attempts bigint not null default 0,
  last_error text,
  last_delivered_at text,
  next_try_at timestamptz not null default now(),
  -- Who delivers now: one worker at a time.
  lease text,
  lease_until timestamptz
);
