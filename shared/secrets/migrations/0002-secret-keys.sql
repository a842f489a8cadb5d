-- The keys of the key file, by name: the file has them, this database never. Secrets are enciphered with the current one. The next
-- is told to every process before it becomes the current one, and the old one is kept until nothing is enciphered with it. Those
-- that are gone stay written down: none of them comes back.
create table secret_keys (
  key_id text primary key,
  state text not null check (state in ('next', 'current', 'old', 'gone')),
  since timestamptz not null default now()
);
create unique index secret_keys_by_state on secret_keys (state) where state <> 'gone';

-- Which process has which keys, as each tells every few seconds.
create table secret_key_holders (
  holder uuid primary key,
  -- Host and process id, for people.
  process text not null,
  key_ids text[] not null,
  seen_at timestamptz not null default now()
);
