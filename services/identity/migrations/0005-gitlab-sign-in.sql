-- By which GitLabs people sign in. The secret of the application lies in the vault.
create table identity_sign_in_settings (
  source_id text primary key,
  client_id text not null,
  -- What becomes of a GitLab user whom nobody here is.
  unknown_users text not null check (unknown_users in ('refuse', 'create')),
  changed_at timestamptz not null
);

-- Sign-ins that were begun, for minutes. What was given out is kept as a digest; what GitLab answered is not kept at all.
create table identity_gitlab_sign_ins (
  state_hash bytea primary key,
  handle_hash bytea not null unique,
  source_id text not null references identity_sign_in_settings on delete cascade,
  expires_at timestamptz not null,
  -- A state is good once.
  returned_at timestamptz,
  -- One of the two, once GitLab has said who it is.
  failure text,
  user_id text references identity_users on delete cascade,
  -- Of what the browser was shown, under a key.
  code_digest text,
  guesses int not null default 0
);
create index identity_gitlab_sign_ins_by_end on identity_gitlab_sign_ins (expires_at);
