-- Of the fact that told of the last change of each setting: an older change of it that comes late (its answer was lost, and it is
-- sent again) changes nothing, and what a newer one left alone it still brings.
create table source_revisions (
  source_id uuid not null references sources on delete cascade,
  -- name, token, ca, client, proxy
  what text not null,
  revision int not null,
  primary key (source_id, what)
);
insert into source_revisions select source_id, what, revision from sources, unnest(array['name', 'token', 'ca', 'client', 'proxy']) what;
alter table sources drop column revision;
