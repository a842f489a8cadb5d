-- The term (bus_leases) of the fetcher that plans: one of an earlier term, which was stopped and goes on, begins nothing any more.
create table fetcher_term (
  is_only boolean primary key check (is_only),
  term bigint not null
);
