-- Everything here is folded from the log and can be thrown away and folded again. Only the projector writes.
create schema read_model;

create table read_model.progress (
  is_only boolean primary key default true check (is_only),
  position text not null
);
insert into read_model.progress (position) values ('');

-- Where each fact stands: serves events by key, at=<position>, and catching up from a position, on every log.
create table read_model.fact_index (
  position text primary key,
  key text not null,
  stream text not null,
  revision int not null,
  type text not null
);
create index fact_index_by_key on read_model.fact_index (key, position);
create index fact_index_by_stream on read_model.fact_index (stream, position);

-- What could not be folded is marked, never passed over in silence.
create table read_model.unfolded (
  position text primary key,
  fact_id text not null,
  key text not null,
  type text not null,
  error text not null
);

create table read_model.sources (
  source_id text primary key,
  name text not null,
  base_url text not null,
  registered_at text not null
);

create table read_model.codebases (
  codebase_id text primary key,
  source_id text not null,
  gitlab_project_id bigint not null,
  path text,
  followed json not null,
  default_ref text,
  hook_state text not null,
  hook_reason text,
  hook_is_signed boolean,
  registered_at text not null,
  -- When the newest cause was recorded, and when GitLab was last asked for a head.
  last_hint_at text,
  -- The newest cause that stands for every followed ref.
  last_whole_hint_at text,
  last_observed_at text
);

create table read_model.refs (
  codebase_id text not null,
  ref text not null,
  state text not null,
  commit_id text,
  commit_time text,
  tree_id text,
  object_format text,
  sync_id text not null,
  stored_at text not null,
  observed_at text not null,
  position text not null,
  primary key (codebase_id, ref)
);

create table read_model.versions (
  codebase_id text not null,
  ref text not null,
  position text not null,
  state text not null,
  commit_id text,
  commit_time text,
  tree_id text,
  object_format text,
  sync_id text not null,
  stored_at text not null,
  observed_at text not null,
  primary key (codebase_id, ref, position)
);
create index versions_by_commit on read_model.versions (codebase_id, commit_id);

create table read_model.syncs (
  sync_id text primary key,
  codebase_id text not null,
  ref text not null,
  cause_id text,
  correlation_id text not null,
  state text not null,
  reason text,
  detail text,
  covered_by text,
  commit_id text,
  tree_id text,
  hint_reached boolean,
  attempt int,
  begun_at text not null,
  fetched_at text,
  scanned_at text,
  ended_at text,
  counts json,
  bytes bigint,
  objects_added int
);
create index syncs_by_cause on read_model.syncs (cause_id);
create index syncs_under_way on read_model.syncs (codebase_id) where ended_at is null;
create index syncs_by_codebase on read_model.syncs (codebase_id, begun_at);
