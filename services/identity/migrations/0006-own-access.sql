-- Whether people who sign in by a GitLab are asked, too, to let their own token say what they read there.
alter table identity_sign_in_settings add column own_access boolean not null default false;

-- What people have let us see of theirs in a GitLab: that there is something, never what. The tokens lie in the vault, under a name of
-- source, user and grant. No reference to users: the row is how the secret is found, so it goes after the secret and after its user.
create table identity_grants (
  grant_id text primary key,
  source_id text not null,
  user_id text not null,
  gitlab_user_id bigint not null,
  -- 'waiting' until the sign-in that it came with is finished; 'turning' while its refresh token, which is good once, is turned in;
  -- 'refused' when GitLab took it no longer; 'lost' when who turned it in did not live to keep what came back.
  state text not null check (state in ('waiting', 'good', 'turning', 'refused', 'lost')),
  kept_at timestamptz not null,
  -- Of the access token.
  expires_at timestamptz not null,
  turning_since timestamptz,
  -- After GitLab did not answer: not before.
  next_turn_at timestamptz
);
create index identity_grants_of_user on identity_grants (user_id);
create index identity_grants_of_source on identity_grants (source_id);

-- Which grant came with a sign-in: theirs once that is finished.
alter table identity_gitlab_sign_ins add column grant_id text;

-- Who is active is seen by what was given out lately.
create index identity_refresh_tokens_by_time on identity_refresh_tokens (issued_at);
