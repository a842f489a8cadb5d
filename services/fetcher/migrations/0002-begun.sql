-- The sync that was begun last of each ref, noted before its first fact: after a crash the cause is planned anew from what GitLab
-- lists then, and a ref that is gone by then would be forgotten, with a sync of it under way.
create table fetcher_begun (
  codebase_id uuid not null,
  ref text not null,
  cause_id uuid not null,
  primary key (codebase_id, ref)
);
