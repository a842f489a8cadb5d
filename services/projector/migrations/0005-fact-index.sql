-- A fact is found by its own id and by the delivery or command that began it, and a page of facts may end at a time.
-- Rows that were folded before these columns were there would lack what the facts say: everything is folded again.
truncate read_model.fact_index, read_model.unfolded, read_model.sources, read_model.codebases, read_model.refs, read_model.versions, read_model.syncs, read_model.projects, read_model.project_codebases;
update read_model.progress set position = '';

alter table read_model.fact_index
  add fact_id text not null,
  add correlation_id text not null,
  add time text not null;
create index fact_index_by_id on read_model.fact_index (fact_id);
create index fact_index_by_correlation on read_model.fact_index (correlation_id, position);
create index fact_index_by_type on read_model.fact_index (type, position);

-- Syncs of all codebases, newest first.
create index syncs_by_time on read_model.syncs (begun_at desc, sync_id);
