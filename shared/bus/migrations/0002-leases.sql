-- Who works, where only one process may at a time: for a consumer group, or at another duty.
create table bus_leases (
  name text primary key,
  -- Grows with each holder: what the one before writes late is known by it.
  term bigint not null,
  expires_at timestamptz not null,
  -- The holder's connection: when it is gone, so is the holder, and nobody need wait for the lease to run out.
  backend_pid int not null,
  backend_start timestamptz not null
);
