-- Which body each Idempotency-Key came with first: the same key with another body is a mistake, whatever it is about.
create table command_keys (
  actor text not null,
  key text not null,
  digest text not null,
  used_at timestamptz not null default now(),
  primary key (actor, key)
);
