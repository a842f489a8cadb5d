-- Who of us is who in which GitLab, as the facts say: by that they read what GitLab lets them read.
create table read_model.gitlab_people (
  source_id text not null,
  user_id text not null,
  gitlab_user_id bigint,
  primary key (source_id, user_id)
);
create index gitlab_people_by_user on read_model.gitlab_people (user_id);
create index gitlab_people_by_gitlab_user on read_model.gitlab_people (source_id, gitlab_user_id);
