-- Who somebody is in a GitLab: by that they read there what GitLab lets them read. One of them each way.
create table identity_gitlab_users (
  source_id text not null,
  gitlab_user_id bigint not null,
  user_id text not null references identity_users on delete cascade,
  bound_at timestamptz not null,
  primary key (source_id, gitlab_user_id),
  unique (user_id, source_id)
);
