-- Who reads a codebase by what its GitLab project says. A row a codebase: its readers change together, and are compared with GitLab's whole list.
create table read_model.codebase_readers (
  codebase_id text primary key,
  source_id text not null,
  -- GitLab's ids of them, in their order.
  gitlab_users bigint[] not null,
  -- nobody, signed-in, everybody: whom GitLab lets read the code beside its members.
  beyond_members text not null,
  observed_at text not null,
  -- Of the stream of its readers: where the next fact goes.
  revision int not null
);
create index codebase_readers_by_user on read_model.codebase_readers using gin (gitlab_users);
