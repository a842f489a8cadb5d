-- How soon it is learnt what active people read, by their own tokens: of how many, and how many are asked so. Not facts.
create table source_people_looks (
  source_id text primary key,
  active int not null,
  asked int not null,
  bound_seconds int not null
);
