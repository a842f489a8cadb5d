-- What was done and refused that no fact tells. Ids only: who is erased stays in it as an id that is nobody's, and their address goes.
create table identity_audit (
  entry_id bigint generated always as identity primary key,
  at timestamptz not null,
  -- Of what is counted: when it last happened within its minute.
  last_at timestamptz not null,
  count bigint not null default 1,
  actor_kind text not null check (actor_kind in ('user', 'token', 'engine', 'nobody')),
  actor_id text,
  act text not null,
  target text,
  route text,
  code text,
  -- Of IPv6 its /56.
  address text,
  -- What is the same within one minute is one row, whichever process saw it. Null: an act of its own.
  counted_by bytea unique
);
create index identity_audit_by_actor on identity_audit (actor_id, at, entry_id);
create index identity_audit_by_target on identity_audit (target, at, entry_id);
create index identity_audit_by_act on identity_audit (act, at, entry_id);
create index identity_audit_by_time on identity_audit (at, entry_id);
