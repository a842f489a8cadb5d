create table sources (
  source_id uuid primary key,
  name text not null,
  base_url text not null,
  ca_pem text,
  -- Keyed digest of the command that registered it: a repeated key with another body changes nothing.
  digest text not null
);

-- Raw webhook bodies, written before their fact. No read model depends on them; a month is dropped as one partition.
create table deliveries (
  delivery_id uuid not null,
  source_id uuid not null,
  received_at timestamptz not null,
  headers text not null,
  body bytea not null
) partition by range (received_at);

create index deliveries_by_id on deliveries (delivery_id);

-- Catches what has no month of its own (a clock far off), so that no delivery is refused for its date.
create table deliveries_other partition of deliveries default;
