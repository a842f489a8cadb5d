-- The term that counts is that of a codebase: where several fetchers share the work, each share of the codebases has terms of its own.
create table fetcher_terms (
  codebase_id uuid primary key,
  term bigint not null
);

drop table fetcher_term;
