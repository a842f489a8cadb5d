-- People, and what they sign in with. No fact holds anything of this but ids: a row can be erased.
create table identity_users (
  user_id text primary key,
  name text not null unique,
  -- argon2id, with its parameters and salt.
  password_hash text not null,
  -- Good for choosing another one, until it expires.
  is_one_time boolean not null,
  password_expires_at timestamptz,
  is_system_admin boolean not null,
  state text not null default 'active' check (state in ('active', 'disabled')),
  created_at timestamptz not null
);

-- One sign-in, and everything that followed from it: revoked as a whole.
create table identity_sessions (
  session_id text primary key,
  user_id text not null references identity_users on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_why text
);
create index identity_sessions_of_user on identity_sessions (user_id);

-- SHA-256 of what was given out: 256 random bits need no salt.
create table identity_refresh_tokens (
  hash bytea primary key,
  session_id text not null references identity_sessions on delete cascade,
  issued_at timestamptz not null,
  -- One that comes a second time was stolen, or its successor was.
  used_at timestamptz
);
create index identity_refresh_tokens_of_session on identity_refresh_tokens (session_id);

create table identity_tokens (
  token_id text primary key,
  hash bytea not null unique,
  user_id text not null references identity_users on delete cascade,
  name text not null,
  scope text not null check (scope in ('read', 'write', 'admin')),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index identity_tokens_of_user on identity_tokens (user_id);

create table identity_tickets (
  hash bytea primary key,
  session_id text not null references identity_sessions on delete cascade,
  expires_at timestamptz not null
);

-- Public halves; the private ones lie enciphered in the vault. 'next' is told before it signs, 'old' while its tokens live.
create table identity_keys (
  kid text primary key,
  public_jwk json not null,
  state text not null check (state in ('next', 'current', 'old')),
  since timestamptz not null
);
create unique index identity_keys_one_current on identity_keys (state) where state in ('next', 'current');

-- By name, whether there is such a user or not.
create table identity_guesses (
  name_hash bytea primary key,
  failures int not null,
  first_at timestamptz not null
);
