-- Codebases are archived and removed, with a time to undo it; projects group them.
alter table read_model.codebases
  -- active, archived (readable, no longer synced), removed (hidden, can be undone), deleted
  add state text not null default 'active',
  add removed_at text,
  -- Of its stream: what If-Match compares.
  add revision int not null default 0;

create table read_model.projects (
  project_id text primary key,
  name text not null,
  -- active, archived, removed
  state text not null,
  created_at text not null,
  removed_at text,
  revision int not null
);

-- A codebase may be in several projects. Who left keeps a row that says so: a fold changes rows, it deletes none.
create table read_model.project_codebases (
  project_id text not null,
  codebase_id text not null,
  is_member boolean not null,
  primary key (project_id, codebase_id)
);
create index project_codebases_by_codebase on read_model.project_codebases (codebase_id);

-- Rows that were folded before these columns were there would lack what the facts say: everything is folded again.
truncate read_model.fact_index, read_model.unfolded, read_model.sources, read_model.codebases, read_model.refs, read_model.versions, read_model.syncs;
update read_model.progress set position = '';
