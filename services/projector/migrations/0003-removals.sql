-- Sources are changed and removed. What a codebase had before it was deleted is no part of what began anew.
alter table read_model.sources
  -- active, removed
  add state text not null default 'active',
  add revision int not null default 0;

alter table read_model.codebases
  -- Position of its newest registration: refs and versions from before it are those of an earlier life.
  add began_at text not null default '';
create index codebases_by_source on read_model.codebases (source_id, codebase_id);

-- Rows that were folded before these columns were there would lack what the facts say: everything is folded again.
truncate read_model.fact_index, read_model.unfolded, read_model.sources, read_model.codebases, read_model.projects, read_model.project_codebases, read_model.refs, read_model.versions, read_model.syncs;
update read_model.progress set position = '';
