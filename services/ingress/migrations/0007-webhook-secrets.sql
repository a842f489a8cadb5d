-- Webhook secrets that were changed; they themselves are in the vault, under names that end in the revision of the fact that told of it.
create table webhook_secrets (
  source_id uuid primary key references sources on delete cascade,
  revision int not null,
  -- Of the ones before: null when these are those that the source was registered with.
  former_revision int,
  changed_at timestamptz not null,
  -- Whether the ones before are still good beside the new ones, within a bound of time.
  is_former_good boolean not null
);
