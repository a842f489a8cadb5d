-- Secrets enciphered (AES-256-GCM, bound to their name), with a key that is not in this database.
create table secrets (
  name text primary key,
  -- Tells which key; tells nothing about it.
  key_id text not null,
  nonce bytea not null,
  -- Ciphertext and 16 bytes of authentication tag.
  sealed bytea not null,
  written_at timestamptz not null default now()
);
