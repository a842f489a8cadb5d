-- What a table does not take is marked by the fold, in its words, and folded nowhere. What was marked before was marked by the
-- words of the database, and some of it was folded in part: a model that has marks is folded again, any other is what it would be.
do $$
begin
  if exists (select from read_model.unfolded) then
    truncate read_model.fact_index, read_model.unfolded, read_model.sources, read_model.codebases, read_model.codebase_readers, read_model.refs, read_model.versions,
      read_model.syncs, read_model.projects, read_model.project_codebases, read_model.project_people;
    update read_model.progress set position = '';
  end if;
end $$;
